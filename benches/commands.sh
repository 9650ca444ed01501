#!/usr/bin/env bash
# Whole commands side by side, in one run on one machine: prints medians and ratios.
#
#   benches/commands.sh            everything
#   benches/commands.sh trace      the trace of all executables against libtree and against the floor
#   benches/commands.sh build      the archive and the ISO of the node recipe
#   benches/commands.sh ufs        the boot archive of illumos against makefs, and its compression against gzip
#
# Needs hyperfine, libtree, gcc, python3, for `ufs` makefs, and for `build` and `ufs` the network once. The method is in benches/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --release --quiet
minroot=$PWD/target/release/minroot
runs=${RUNS:-30}

# time NAME COMMAND...: the median in milliseconds, kept for the ratios.
time_it() {
    local name=$1; shift
    hyperfine --shell=none --warmup 3 --runs "$runs" --ignore-failure --export-json "$work/$name.json" "$@" >/dev/null 2>&1
    python3 - "$work/$name.json" "$name" <<'PY'
import json, sys
result = json.load(open(sys.argv[1]))["results"][0]
times = sorted(1000 * t for t in result["times"])
print(f"{sys.argv[2]:32s} median {result['median']*1000:9.1f} ms   least {times[0]:9.1f}   most {times[-1]:9.1f}")
PY
}
ratio() {
    python3 - "$work/$1.json" "$work/$2.json" "$1" "$2" <<'PY'
import json, sys
a, b = (json.load(open(path))["results"][0]["median"] for path in sys.argv[1:3])
print(f"{sys.argv[3]} / {sys.argv[4]} = {a / b:.2f}")
PY
}

if [ "$what" = all ] || [ "$what" = trace ]; then
    cc -O2 -pthread -o "$work/floor" benches/support/floor.c
    # Every ELF file of /usr/bin and /usr/sbin that is no symlink.
    find /usr/bin /usr/sbin -maxdepth 1 -type f -print0 | xargs -0 -n1 sh -c \
        '[ "$(head -c4 "$0" | od -An -tx1)" = " 7f 45 4c 46" ] && echo "$0"' 2>/dev/null | sort > "$work/list" || true
    mapfile -t list < "$work/list"
    # The floor reads what the trace without rules reads: the files of the closure.
    "$minroot" trace --root / --no-rules "${list[@]}" --format paths -o "$work/closure" 2>/dev/null || true
    grep -v '^/etc' "$work/closure" | while read -r path; do [ -f "$path" ] && [ ! -L "$path" ] && echo "$path"; done > "$work/files"
    echo "$(wc -l < "$work/list") executables, $(wc -l < "$work/files") files"
    time_it minroot "$minroot trace --root / --no-rules --format paths -o /dev/null ${list[*]}"
    time_it minroot-with-rules "$minroot trace --root / --format paths -o /dev/null ${list[*]}"
    time_it minroot-one-program "$minroot trace --root / --format paths -o /dev/null /usr/bin/true"
    time_it libtree-pvv "libtree -pvv ${list[*]}"
    cat > "$work/floor1" <<SH
#!/bin/sh
exec "$work/floor" < "$work/files"
SH
    cat > "$work/floor2" <<SH
#!/bin/sh
exec "$work/floor" -j 2 < "$work/files"
SH
    chmod +x "$work/floor1" "$work/floor2"
    time_it floor-1-thread "$work/floor1"
    time_it floor-2-threads "$work/floor2"
    time_it sh "sh -c :"
    ratio minroot libtree-pvv
    ratio minroot-with-rules libtree-pvv
    ratio minroot floor-1-thread
    ratio minroot floor-2-threads
fi

if [ "$what" = all ] || [ "$what" = build ]; then
    recipe=rules/recipes/debian-node.toml
    root=$("$minroot" fetch "$recipe" 2>/dev/null)
    runs=${RUNS:-10}
    time_it trace-json "$minroot trace $recipe --root $root -o $work/node.json"
    time_it trace-paths "$minroot trace $recipe --root $root --format paths -o $work/node.paths"
    time_it why "$minroot why libcrypto.so.3 -m $work/node.json"
    time_it build-zstd-3 "$minroot build $recipe --root $root --compress zstd --level 3 -o $work/node.iso"
    time_it pack-none "$minroot pack -m $work/node.json --root $root --compress none -o $work/node.cpio"
    if [ "$(id -u)" = 0 ]; then
        cp -a "$("$minroot" fetch benches/support/mkinitramfs.toml 2>/dev/null)" "$work/chroot"
        benches/support/mkinitramfs-prepare.sh "$work/chroot"
        version=$(basename "$(echo "$work"/chroot/lib/modules/*)")
        time_it mkinitramfs-list "chroot $work/chroot /usr/sbin/mkinitramfs -o /initrd.img $version"
        wc -c < "$work/chroot/initrd.img" | sed "s/$/ bytes: archive of mkinitramfs/"
        wc -c < "$work/node.iso" | sed "s/$/ bytes: ISO with the same kernel, both at zstd -3/"
        ratio build-zstd-3 mkinitramfs-list
    fi
fi

if [ "$what" = all ] || [ "$what" = ufs ]; then
    recipe=rules/recipes/debian-node.toml
    root=$("$minroot" fetch "$recipe" 2>/dev/null)
    runs=${RUNS:-10}
    "$minroot" trace "$recipe" --root "$root" -o "$work/node.json" 2>/dev/null
    pack="$minroot pack -m $work/node.json --root $root"
    # makefs reads a tree, so there is one with the same files. Its image is for 4.4BSD: only time and size compare.
    $pack --format dir -o "$work/tree" 2>/dev/null
    time_it pack-ufs "$pack --format ufs --compress none -o $work/node.ufs"
    time_it makefs-ffs "makefs -t ffs -B le -o version=1,bsize=8192,fsize=1024 $work/node.ffs $work/tree"
    ratio pack-ufs makefs-ffs
    wc -c < "$work/node.ufs" | sed "s/$/ bytes: ours/"
    wc -c < "$work/node.ffs" | sed "s/$/ bytes: image of makefs/"
    for level in 6 9; do
        time_it "pack-ufs-gzip-$level" "$pack --format ufs --compress gzip --level $level -o $work/node.ufs.gz"
        # What gzip has to read is there already, and nothing has to write what it prints.
        time_it "gzip-$level" "gzip -$level -n -c $work/node.ufs"
        ratio "gzip-$level" "pack-ufs-gzip-$level"
        wc -c < "$work/node.ufs.gz" | sed "s/$/ bytes: ours at level $level/"
        gzip -"$level" -n -c "$work/node.ufs" | wc -c | sed "s/$/ bytes: gzip -$level/"
    done
fi

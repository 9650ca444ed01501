#!/usr/bin/env bash
# Whole commands in turn on one machine: prints medians, and ratios pair by pair. RUNS is how many of each.
#
#   benches/commands.sh            everything
#   benches/commands.sh trace      the trace of all executables against libtree and against the floor
#   benches/commands.sh build      the archive and the ISO of the node recipe
#   benches/commands.sh ufs        the boot archive of illumos against makefs, and its compression against gzip
#
# Needs libtree, gcc, python3, for `ufs` makefs, and for `build` and `ufs` the network once. The method is in benches/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --release --quiet
minroot=$PWD/target/release/minroot

# in_turn RUNS RATIOS NAME COMMAND...: one table of the commands, run in turn, and the ratios of those that are compared.
in_turn() { python3 benches/support/in_turn.py "$@"; }

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
    in_turn "${RUNS:-30}" \
        "minroot/libtree-pvv minroot/floor-1-thread minroot/floor-2-threads minroot-with-rules/libtree-pvv" \
        libtree-pvv "libtree -pvv ${list[*]}" \
        minroot "$minroot trace --root / --no-rules --format paths -o /dev/null ${list[*]}" \
        floor-1-thread "$work/floor < $work/files" \
        floor-2-threads "$work/floor -j 2 < $work/files" \
        minroot-with-rules "$minroot trace --root / --format paths -o /dev/null ${list[*]}" \
        minroot-one-program "$minroot trace --root / --format paths -o /dev/null /usr/bin/true"
fi

if [ "$what" = all ] || [ "$what" = build ]; then
    recipe=rules/recipes/debian-node.toml
    root=$("$minroot" fetch "$recipe" 2>/dev/null)
    runs=${RUNS:-10}
    in_turn "$runs" "" \
        trace-json "$minroot trace $recipe --root $root -o $work/node.json" \
        trace-paths "$minroot trace $recipe --root $root --format paths -o $work/node.paths" \
        why "$minroot why libcrypto.so.3 -m $work/node.json" \
        pack-none "$minroot pack -m $work/node.json --root $root --compress none -o $work/node.cpio"
    build="$minroot build $recipe --root $root --compress zstd --level 3 -o $work/node.iso"
    if [ "$(id -u)" = 0 ]; then
        cp -a "$("$minroot" fetch benches/support/mkinitramfs.toml 2>/dev/null)" "$work/chroot"
        benches/support/mkinitramfs-prepare.sh "$work/chroot"
        version=$(basename "$(echo "$work"/chroot/lib/modules/*)")
        in_turn "$runs" "build-zstd-3/mkinitramfs-list" \
            build-zstd-3 "$build" \
            mkinitramfs-list "chroot $work/chroot /usr/sbin/mkinitramfs -o /initrd.img $version"
        wc -c < "$work/chroot/initrd.img" | sed "s/$/ bytes: archive of mkinitramfs/"
        wc -c < "$work/node.iso" | sed "s/$/ bytes: ISO with the same kernel, both at zstd -3/"
    else
        in_turn "$runs" "" build-zstd-3 "$build"
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
    in_turn "$runs" "pack-ufs/makefs-ffs" \
        pack-ufs "$pack --format ufs --compress none -o $work/node.ufs" \
        makefs-ffs "makefs -t ffs -B le -o version=1,bsize=8192,fsize=1024 $work/node.ffs $work/tree"
    wc -c < "$work/node.ufs" | sed "s/$/ bytes: ours/"
    wc -c < "$work/node.ffs" | sed "s/$/ bytes: image of makefs/"
    for level in 6 9; do
        # What gzip has to read is there already, and nothing has to write what it prints.
        in_turn "$runs" "gzip-$level/pack-ufs-gzip-$level" \
            "pack-ufs-gzip-$level" "$pack --format ufs --compress gzip --level $level -o $work/node.ufs.gz" \
            "gzip-$level" "gzip -$level -n -c $work/node.ufs"
        wc -c < "$work/node.ufs.gz" | sed "s/$/ bytes: ours at level $level/"
        gzip -"$level" -n -c "$work/node.ufs" | wc -c | sed "s/$/ bytes: gzip -$level/"
    done
fi

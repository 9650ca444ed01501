#!/bin/sh
# Makes a copy of the root of mkinitramfs.toml do the same job with initramfs-tools: the virtio network modules, node, its
# files and the server in the image, zstd at its default level. The argument is the directory to change.
set -eu
tree=$1
chroot "$tree" /sbin/ldconfig
ln -sf mawk "$tree/usr/bin/awk"
mkdir -p "$tree/tmp" "$tree/var/tmp" "$tree/proc" "$tree/dev"
[ -c "$tree/dev/null" ] || mknod -m 666 "$tree/dev/null" c 1 3
chroot "$tree" depmod "$(basename "$(echo "$tree"/lib/modules/*)")"
cat > "$tree/etc/initramfs-tools/initramfs.conf" <<CONF
MODULES=list
BUSYBOX=n
KEYMAP=n
COMPRESS=zstd
FSTYPE=ext4
RUNSIZE=10%
CONF
printf 'virtio_pci\nvirtio_net\n' > "$tree/etc/initramfs-tools/modules"
mkdir -p "$tree/srv"
echo 'require("http").createServer((q, r) => r.end("hello\n")).listen(8000)' > "$tree/srv/hello.js"
cat > "$tree/etc/initramfs-tools/hooks/node" <<'HOOK'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec /usr/bin/node
copy_file data /srv/hello.js
for file in acorn/dist/acorn.js acorn-walk/dist/walk.js cjs-module-lexer/lexer.js cjs-module-lexer/dist/lexer.js undici/undici-fetch.js; do
    copy_file data "/usr/share/nodejs/$file"
done
HOOK
chmod +x "$tree/etc/initramfs-tools/hooks/node"

#!/bin/sh
# Installs the Debian packages that the tests compare minroot with, or boot its images on.
set -eu
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update
# Debian's npm conflicts with the Node.js of other sources, which brings its own.
npm=
command -v npm >/dev/null || npm=npm
# shellcheck disable=SC2086 # no word when npm is there
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    qemu-system-x86 ovmf musl-tools xorriso genisoimage grub-common mtools dosfstools cpio bzip2 libarchive-tools \
    zstd xz-utils gzip kmod patchelf gcc libc6-dev binutils man-db python3-minimal perl-base \
    ca-certificates util-linux fdisk grub-pc-bin git openssl ncurses-bin graphviz chromium skopeo umoci python3-venv \
    fish zsh libglib2.0-bin shared-mime-info systemd libgdk-pixbuf2.0-bin $npm

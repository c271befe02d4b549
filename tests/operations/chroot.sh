#!/bin/sh
# Run a command in a copy of this machine's file system whose changes are forgotten: chroot.sh SCRATCH COMMAND...
# In a mount namespace of its own; what the command changes is also to be seen in SCRATCH/changed.
set -eu
scratch=$1
shift
mount -t tmpfs scratch "$scratch"
mkdir "$scratch/changed" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/changed,workdir=$scratch/work" "$scratch/root"
for each in /dev /proc; do
    mount --rbind "$each" "$scratch/root$each"
done
mount -t tmpfs scratch "$scratch/root/run"
exec chroot "$scratch/root" "$@"

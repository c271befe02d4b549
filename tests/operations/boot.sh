#!/bin/sh
# Boot a copy of this machine in a namespace, with nothing in it but one service and a probe: boot.sh SCRATCH SCRIPT PROBE
# SCRIPT runs in the copy before, PROBE in it while it runs; what PROBE prints is printed.
set -eu
scratch=$1
mount -t tmpfs scratch "$scratch"
mkdir "$scratch/changed" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/changed,workdir=$scratch/work" "$scratch/root"
for each in /dev /proc; do
    mount --rbind "$each" "$scratch/root$each"
done
chroot "$scratch/root" sh -ec "cd /; $2" >&2
umount -R "$scratch/root/dev" "$scratch/root/proc"
cp "$3" "$scratch/root/probe.sh"
cat >"$scratch/root/etc/systemd/system/probe.service" <<'UNIT'
[Unit]
Wants=clawchat-server.service
After=clawchat-server.service
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh -c "sh /probe.sh >/probe.out 2>&1; echo probe ends >>/probe.out"
UNIT
systemd-nspawn --quiet --register=no --keep-unit --private-network --directory="$scratch/root" --link-journal=no \
    --boot systemd.unit=probe.service >&2 || true
cat "$scratch/root/probe.out"

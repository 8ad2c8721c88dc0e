#!/bin/sh
# Run while the runners' image is built: leaves Python and what it needs, and nothing that installs,
# compiles, fetches or changes users.
set -eu

find / -xdev -perm /6000 -type f -exec chmod a-s {} +
for folder in /usr/lib/python3* /usr/local/lib/python3*; do
    [ -d "$folder" ] || continue
    rm -rf "$folder/ensurepip" "$folder/idlelib" "$folder/test" "$folder/tkinter" "$folder/lib2to3"
    rm -rf "$folder"/site-packages/* "$folder"/dist-packages/*
done
for name in apt apt-get apt-cache apt-cdrom apt-config apt-key apt-mark dpkg dpkg-deb dpkg-divert dpkg-query \
    dpkg-split dpkg-statoverride dpkg-trigger pip pip3 pip3.* idle idle3* pydoc* 2to3* \
    cc gcc g++ cpp ld as make perl* curl wget git ssh scp nc gpg* openssl \
    su sudo newgrp sg passwd chsh chfn gpasswd chage expiry mount umount unshare nsenter setpriv chroot; do
    for folder in /usr/local/bin /usr/local/sbin /usr/bin /usr/sbin /bin /sbin; do
        # shellcheck disable=SC2086  # some names are patterns
        rm -f "$folder"/$name
    done
done
rm -rf /var/lib/apt /var/cache/* /var/log/* /usr/lib/apt /usr/share/doc /usr/share/man /usr/share/locale /root/.[!.]* /tmp/*
mkdir -p /run/host

# Compiled once, here: a runner has nowhere to keep it.
for folder in /usr/lib/python3.* /usr/local/lib/python3.*; do
    [ ! -d "$folder" ] || python3 -m compileall -q "$folder" || true
done
python3 -m compileall -q --invalidation-mode unchecked-hash /opt/plugbay
# What a runner imports at its start, in one file.
python3 -I -S /opt/plugbay/runner/worker/preloaded.py /opt/plugbay /opt/plugbay/site

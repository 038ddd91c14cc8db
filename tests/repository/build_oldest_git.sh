#!/bin/sh
# Build the oldest git that we say we support, from Debian's own source, for the session that runs these tests with it.
#
#     build_oldest_git.sh DESTINATION      prints the directory to put first on PATH
#
# Needs a Debian (or its child) with gcc, make and the headers of libcurl, zlib, expat and OpenSSL; the mirror is the one
# that apt is set up with. A second call with the same destination builds nothing.
set -eu

suite=bullseye  # git 2.30.2
destination=$(mkdir -p "$1" && cd "$1" && pwd)
if [ -x "$destination/bin/git" ]; then
    echo "$destination/bin"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/source"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$keyring] $mirror $suite main" > "$work/sources.list"
apt() {
    apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root "$@" >&2
}
apt update
cd "$work/source"
apt source --download-only git
tar -xJf git_2.*.orig.tar.xz
cd git-2.*/
make -s -j"$(nproc)" prefix="$destination" NO_GETTEXT=1 NO_TCLTK=1 NO_PERL=1 NO_PYTHON=1 NO_INSTALL_HARDLINKS=1 \
    INSTALL_SYMLINKS=1 all install >&2
echo "$destination/bin"

#!/bin/sh
# usage: nbd_wine.sh --build SOURCE BUILD CMAKE-ARGUMENT...   (build nbd-server's tests and what else is to run on this machine)
#        nbd_wine.sh WINE NBD-SERVER.EXE TEST ARGUMENT...    (run one of them against Windows' nbd-server)
set -eu
if [ "$1" = --build ]; then
    source=$2 build=$3
    shift 3
    if ! pkg-config --exists cmocka; then
        echo "skipped: there is no CMocka for this machine"
        exit 77
    fi
    # The compiler is this machine's, whatever the one of the build around it is.
    unset CC CFLAGS LDFLAGS CMAKE_TOOLCHAIN_FILE
    cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Debug -DAIOCTX_BUILD_BENCH=OFF -DAIOCTX_INSTALL=OFF "$@"
    exec cmake --build "$build" --parallel 2 --target echo-server \
        test_nbd_handshake test_nbd_protocol test_nbd_server
fi
if [ ! -x "$3" ]; then
    echo "skipped: nbd-server's tests are not built for this machine"
    exit 77
fi
export AIOCTX_NBD_WINE="$1" AIOCTX_NBD_EXE="$2" WINEDEBUG=-all
shift 2
exec "$@"

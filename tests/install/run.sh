#!/bin/sh
# One step of the install tests: run.sh STEP TYPE SOURCE WORK
#   STEP  install, exports, find_package, pkg_config, add_subdirectory or fetch_content
#   TYPE  static or shared
#   WORK  a directory of this type's own; `install` fills WORK/prefix, which the others use
# In the environment, for another system: TOOLCHAIN, CMake's file for it; EMULATOR, what runs its programs; OBJDUMP.
# Exit status 77 says "skipped".
set -eu
step=$1 type=$2 source=$3 work=$4
: "${CC:=cc}" "${CXX:=c++}" "${CMAKE:=cmake}" "${TOOLCHAIN:=}" "${EMULATOR:=}" "${OBJDUMP:=objdump}"
suffix=
link=
if [ -n "$TOOLCHAIN" ]; then # there is one for Windows only, so far
    suffix=.exe
    link=-static
    # An import library is none of those that -static looks for.
    [ "$type" = static ] || link="-static-libgcc -static-libstdc++ -Wl,-Bstatic -lwinpthread -Wl,-Bdynamic"
fi
prefix=$work/prefix
case $type in shared) shared=ON ;; *) shared=OFF ;; esac

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "failed: $*" >&2
    exit 1
}

# The program of README.md, as C and as C++.
program() {
    awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$source/README.md" >"$1.c"
    lines=$(wc -l <"$1.c")
    [ "$lines" -gt 0 ] && [ "$lines" -le 25 ] || fail "README.md has a program of $lines lines"
    cp "$1.c" "$1.cpp"
}

# What the program prints is what README.md says, in the block after it.
run() {
    awk '/^```text$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$source/README.md" >"$build/expected"
    [ -s "$build/expected" ] || fail "README.md does not say what its program prints"
    for run_it in "$@"; do
        # Unquoted on purpose: none, or a command with arguments.
        LD_LIBRARY_PATH=$prefix/lib WINEPATH="$prefix/bin" $EMULATOR "$run_it$suffix" >"$run_it.raw" ||
            fail "$run_it ended with status $?"
        tr -d '\r' <"$run_it.raw" >"$run_it.out"
        diff "$build/expected" "$run_it.out" || fail "$run_it printed something else"
    done
}

# Build and run tests/install/consumer with the library found in this way: consumer HOW LANGUAGES
consumer() {
    build=$work/$1-$(echo "$2" | tr ';' '-')
    rm -rf "$build"
    mkdir -p "$build"
    program "$build/program"
    "$CMAKE" -S "$source/tests/install/consumer" -B "$build" -DHOW="$1" -DLANGUAGES="$2" \
        -DPROGRAM="$build/program" -DAIOCTX_SOURCE="$source" -DBUILD_SHARED_LIBS=$shared \
        -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_BUILD_TYPE=Debug \
        ${TOOLCHAIN:+-DCMAKE_TOOLCHAIN_FILE="$TOOLCHAIN" -DCMAKE_FIND_ROOT_PATH="$prefix"}
    "$CMAKE" --build "$build"
    for language in $(echo "$2" | tr ';' ' '); do
        run "$build/program_$language"
    done
}

needs_cxx() {
    command -v "$CXX" >/dev/null || skip "there is no C++ compiler ($CXX)"
}

case $step in
install)
    rm -rf "$work"
    mkdir -p "$work"
    # Configured for another prefix than it is installed to: the package must not remember the first.
    "$CMAKE" -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=$shared \
        -DAIOCTX_BUILD_TESTS=OFF -DAIOCTX_BUILD_EXAMPLES=OFF -DAIOCTX_BUILD_BENCH=OFF \
        -DCMAKE_INSTALL_PREFIX=/nowhere -DCMAKE_INSTALL_LIBDIR=lib ${TOOLCHAIN:+-DCMAKE_TOOLCHAIN_FILE="$TOOLCHAIN"}
    "$CMAKE" --build "$work/build"
    "$CMAKE" --install "$work/build" --prefix "$prefix"
    if grep -rl -e /nowhere -e "$source" "$prefix"/lib/cmake "$prefix"/lib/pkgconfig "$prefix"/include; then
        fail "these files are not relocatable"
    fi
    for header in "$source"/include/aioctx/*.h; do
        [ -f "$prefix/include/aioctx/${header##*/}" ] || fail "$header was not installed"
    done
    ;;
exports)
    command -v nm >/dev/null || skip "there is no nm"
    command -v readelf >/dev/null || skip "there is no readelf"
    taken='aio_read|aio_write|aio_fsync|aio_error|aio_return|aio_cancel|aio_suspend|aio_init'
    if [ "$type$suffix" = shared.exe ]; then
        command -v "$OBJDUMP" >/dev/null || skip "there is no $OBJDUMP"
        [ -f "$prefix/lib/libaioctx.dll.a" ] || fail "there is no import library"
        "$OBJDUMP" -p "$prefix/bin/libaioctx.dll" >"$work/headers"
        sed -nE '/\[Ordinal\/Name Pointer\]/,/^$/s/^[[:space:]]*\[ *[0-9]+\] ([^+].*)$/\1/p' "$work/headers" >"$work/symbols"
        allowed='^aio_[a-z]'
        # No DLL of the compiler's.
        ! sed -n 's/^.*DLL Name: //p' "$work/headers" | grep -viE '^(kernel32|msvcrt|ws2_32|ntdll|ucrtbase|api-ms-.*)\.dll$' ||
            fail "these libraries are needed, too"
    elif [ "$type" = shared ]; then
        library=$prefix/lib/libaioctx.so
        nm -D --defined-only "$library" | awk '{ print $3 }' >"$work/symbols"
        allowed='^aio_[a-z]'
        major=$("$CMAKE" -P "$source/tests/install/major.cmake" "$source" 2>&1)
        readelf -d "$library" | grep -F "soname: [libaioctx.so.$major]" || fail "SONAME is not libaioctx.so.$major"
    else
        # Hidden symbols are visible to the linker here: their prefix keeps them apart.
        nm -g --defined-only "$prefix/lib/libaioctx.a" | awk 'NF == 3 { print $3 }' |
            sed -E '/^\.(refptr|weak)\./d; s/^__emutls_v\.//; /^__emutls_t\./d' >"$work/symbols"
        allowed='^aio__?[a-z]'
    fi
    [ "$(grep -c '^aio_[a-z]' "$work/symbols")" -gt 100 ] || fail "only these are there: $(cat "$work/symbols")"
    ! grep -vE "$allowed" "$work/symbols" || fail "these symbols leak"
    ! grep -xE "$taken" "$work/symbols" || fail "these names belong to POSIX AIO"
    for symbol in $(sed -nE 's/^AIO_EXPORT .*[ *](aio_[a-z0-9_]+)\(.*/\1/p' "$source"/include/aioctx/*.h*); do
        grep -qx "$symbol" "$work/symbols" || fail "$symbol is declared but not there"
    done
    echo "$(wc -l <"$work/symbols") symbols"
    ;;
find_package)
    consumer find_package C
    needs_cxx
    consumer find_package CXX
    ;;
pkg_config)
    command -v pkg-config >/dev/null || skip "there is no pkg-config"
    export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
    [ -z "$TOOLCHAIN" ] || export PKG_CONFIG_LIBDIR="$prefix/lib/pkgconfig"
    [ "$type" = shared ] && static= || static=--static
    build=$work/pkg_config
    rm -rf "$build"
    mkdir -p "$build"
    program "$build/program"
    # Unquoted on purpose: the words of what pkg-config prints are arguments of their own.
    $CC -std=c11 -Wall -Wextra -Werror "$build/program.c" -o "$build/program_C" $(pkg-config $static --cflags --libs aioctx) $link
    run "$build/program_C"
    needs_cxx
    $CXX -std=c++17 -Wall -Wextra -Werror "$build/program.cpp" -o "$build/program_CXX" $(pkg-config $static --cflags --libs aioctx) $link
    run "$build/program_CXX"
    $CXX -std=c++17 -Wall -Wextra -Wold-style-cast -Wzero-as-null-pointer-constant -Werror $(pkg-config $static --cflags aioctx) \
        -c "$source/tests/install/consumer/macros.cpp" -o "$build/macros.o"
    ;;
add_subdirectory | fetch_content)
    needs_cxx
    consumer "$step" "C;CXX"
    "$CMAKE" --install "$build" --prefix "$build/installed"
    [ -z "$(find "$build/installed" -type f)" ] || fail "brought in, it installs files nobody asked for"
    ;;
*)
    fail "unknown step $step"
    ;;
esac

//go:build !(amd64 || arm64 || loong64 || mips64le || ppc64le || riscv64)

package codec

// Integers and floats are written as they are in memory, and int and uint as 8 bytes: package codec is for 64-bit little
// endian platforms. On any other this line doesn't compile, since hashes and state would differ there.
var _ = thisPlatformIsNot64BitLittleEndian

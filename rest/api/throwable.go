package api

import (
	"encoding/binary"
	"unicode/utf16"
)

// Throwable is how Flink sends an exception. Its client reads nothing but Serialized, and fails if it isn't there.
type Throwable struct {
	Class      string `json:"class"`
	StackTrace string `json:"stack-trace"`
	// Serialized is a Java object stream: base64 in JSON.
	Serialized []byte `json:"serialized-throwable"`
}

// NewThrowable makes a Throwable that Flink's client shows as "<class>: <message>".
func NewThrowable(class, message, stack string) *Throwable {
	text := class + ": " + message
	trace := text + "\n"
	if stack != "" {
		trace += stack + "\n"
	}
	return &Throwable{Class: class, StackTrace: trace, Serialized: serializeThrowable(class, text, trace)}
}

// Type codes and flags of the Java object serialization stream protocol.
const (
	tcNull       = 0x70
	tcReference  = 0x71
	tcClassDesc  = 0x72
	tcObject     = 0x73
	tcString     = 0x74
	tcArray      = 0x75
	tcEndBlock   = 0x78
	tcLongString = 0x7c

	scWriteMethod  = 0x01
	scSerializable = 0x02

	baseHandle = 0x7e0000
)

// javaField is a field of a class description: primitive types have no signature. A signature that the stream had before
// is a reference to its handle.
type javaField struct {
	kind      byte
	name      string
	signature string
	handle    int // of an earlier signature; 0: none
}

// javaString has handle 1 in the stream below: the first class description takes 0, its first new signature 1.
const javaString = 1

// serializeThrowable writes org.apache.flink.util.SerializedThrowable without cause, frames or suppressed exceptions, and
// without the original exception, which Flink then shows by its names.
func serializeThrowable(class, message, trace string) []byte {
	w := javaWriter{0xac, 0xed, 0x00, 0x05}
	w = append(w, tcObject)
	w.class("org.apache.flink.util.SerializedThrowable", 0x65169df51fa713f3, scSerializable,
		javaField{kind: 'L', name: "fullStringifiedStackTrace", signature: "Ljava/lang/String;"},
		javaField{kind: 'L', name: "originalErrorClassName", handle: javaString},
		javaField{kind: '[', name: "serializedException", signature: "[B"})
	w.class("java.lang.Exception", 0xd0fd1f3e1a3b1cc4, scSerializable)
	w.class("java.lang.Throwable", 0xd5c635273977b8cb, scSerializable|scWriteMethod,
		javaField{kind: 'L', name: "cause", signature: "Ljava/lang/Throwable;"},
		javaField{kind: 'L', name: "detailMessage", handle: javaString},
		javaField{kind: '[', name: "stackTrace", signature: "[Ljava/lang/StackTraceElement;"},
		javaField{kind: 'L', name: "suppressedExceptions", signature: "Ljava/util/List;"})
	w = append(w, tcNull) // no further super class

	// The values of Throwable come first: cause, message, stack trace, suppressed.
	w = append(w, tcNull)
	w.string(message)
	w = append(w, tcArray)
	w.class("[Ljava.lang.StackTraceElement;", 0x02462a3c3cfd2239, scSerializable)
	w = append(w, tcNull)
	w = binary.BigEndian.AppendUint32(w, 0)
	w = append(w, tcObject)
	w.class("java.util.Collections$EmptyList", 0x7ab817b43ca79ede, scSerializable)
	w = append(w, tcNull, tcEndBlock)

	w.string(trace)
	w.string(class)
	return append(w, tcNull)
}

type javaWriter []byte

func (w *javaWriter) utf(s []byte) {
	*w = append(binary.BigEndian.AppendUint16(*w, uint16(len(s))), s...)
}

// class writes a class description up to its super class, which the caller writes.
func (w *javaWriter) class(name string, version uint64, flags byte, fields ...javaField) {
	*w = append(*w, tcClassDesc)
	w.utf([]byte(name))
	*w = binary.BigEndian.AppendUint64(*w, version)
	*w = append(*w, flags)
	*w = binary.BigEndian.AppendUint16(*w, uint16(len(fields)))
	for _, f := range fields {
		*w = append(*w, f.kind)
		w.utf([]byte(f.name))
		if f.handle > 0 {
			*w = append(*w, tcReference)
			*w = binary.BigEndian.AppendUint32(*w, uint32(baseHandle+f.handle))
		} else {
			w.string(f.signature)
		}
	}
	*w = append(*w, tcEndBlock)
}

// string writes a new string object.
func (w *javaWriter) string(s string) {
	b := modifiedUTF8(s)
	if len(b) <= 0xffff {
		*w = append(*w, tcString)
		w.utf(b)
		return
	}
	*w = append(*w, tcLongString)
	*w = binary.BigEndian.AppendUint64(*w, uint64(len(b)))
	*w = append(*w, b...)
}

// modifiedUTF8 is Java's: NUL takes two bytes, and what lies outside of the basic plane two surrogates of three bytes each.
func modifiedUTF8(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, u := range utf16.Encode([]rune(s)) {
		switch {
		case u != 0 && u < 0x80:
			b = append(b, byte(u))
		case u < 0x800:
			b = append(b, 0xc0|byte(u>>6), 0x80|byte(u&0x3f))
		default:
			b = append(b, 0xe0|byte(u>>12), 0x80|byte(u>>6&0x3f), 0x80|byte(u&0x3f))
		}
	}
	return b
}

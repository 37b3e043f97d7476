// Package wire reads and writes protobuf messages. It implements only what the UDFs of this module need.
package wire

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed is returned for bytes that are not a message.
var ErrMalformed = errors.New("the bytes are not a protobuf message")

// Wire types: the lowest three bits of a tag.
const (
	kindVarint  = 0
	kindFixed64 = 1
	kindBytes   = 2
	kindFixed32 = 5
)

// Field is one field of a message: its number, and its value as a number or as bytes.
type Field struct {
	Number uint64
	Uint   uint64
	Bytes  []byte
}

// Fields returns the fields of any message.
func Fields(message []byte) ([]Field, error) {
	var fields []Field
	for len(message) > 0 {
		tag, rest, err := varint(message)
		if err != nil {
			return nil, err
		}
		field := Field{Number: tag >> 3}
		if message, err = field.readValue(tag&7, rest); err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	return fields, nil
}

// Last returns the last field with this number, which takes precedence, or a field without a value.
func Last(fields []Field, number uint64) Field {
	last := Field{Number: number}
	for _, field := range fields {
		if field.Number == number {
			last = field
		}
	}
	return last
}

func (field *Field) readValue(kind uint64, from []byte) (rest []byte, err error) {
	switch kind {
	case kindVarint:
		field.Uint, rest, err = varint(from)
		return rest, err
	case kindFixed64:
		field.Bytes, rest, err = cut(from, 8)
		return rest, err
	case kindFixed32:
		field.Bytes, rest, err = cut(from, 4)
		return rest, err
	case kindBytes:
		length, rest, err := varint(from)
		if err != nil {
			return nil, err
		}
		field.Bytes, rest, err = cut(rest, length)
		return rest, err
	}
	return nil, ErrMalformed
}

func varint(from []byte) (uint64, []byte, error) {
	value, count := binary.Uvarint(from)
	if count <= 0 {
		return 0, nil, ErrMalformed
	}
	return value, from[count:], nil
}

func cut(from []byte, length uint64) ([]byte, []byte, error) {
	if uint64(len(from)) < length {
		return nil, nil, ErrMalformed
	}
	return from[:length], from[length:], nil
}

// AppendUint adds a number to a message. Zero is omitted, as in proto3.
func AppendUint(message []byte, number, value uint64) []byte {
	if value == 0 {
		return message
	}
	return AppendPresentUint(message, number, value)
}

// AppendPresentUint adds a number even if it is zero: for fields that can be absent.
func AppendPresentUint(message []byte, number, value uint64) []byte {
	message = binary.AppendUvarint(message, number<<3|kindVarint)
	return binary.AppendUvarint(message, value)
}

// AppendBytes adds bytes, a string, or another message.
func AppendBytes(message []byte, number uint64, value []byte) []byte {
	message = binary.AppendUvarint(message, number<<3|kindBytes)
	message = binary.AppendUvarint(message, uint64(len(value)))
	return append(message, value...)
}

// Package udf is a library for UDFs, which serve one request per process.
//
//	func main() {
//		udf.Serve(func(request []byte) ([]byte, error) { return request, nil })
//	}
//
// Code before Serve runs before the request exists, so its time does not count for the request.
package udf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
)

// The exit codes, which are those of the helpers for C++ and Rust.
const (
	exitUsage      = 64
	exitBadRequest = 65
	exitNoRequest  = 69
	exitFailed     = 70
	exitIO         = 74
)

// The size limit of messages.
const limit = 64 << 20

// Serve answers this process's one request, and ends the process if it cannot. The messages are encoded.
func Serve(handler func(request []byte) ([]byte, error)) {
	connection := open()
	if _, err := connection.Write([]byte{1}); err != nil {
		fail(exitIO, err)
	}
	request, err := readFrame(bufio.NewReader(connection))
	if err == io.EOF {
		fail(exitNoRequest, err)
	} else if err != nil {
		fail(exitBadRequest, err)
	}
	response, err := handler(request)
	if err != nil {
		fail(exitFailed, err)
	}
	if _, err := connection.Write(frame(response)); err != nil {
		fail(exitIO, err)
	}
}

func open() *os.File {
	if len(os.Args) < 2 {
		fail(exitUsage, fmt.Errorf("the first argument must be the number of a descriptor"))
	}
	number, err := strconv.ParseUint(os.Args[1], 10, 31)
	if err != nil || number < 3 {
		fail(exitUsage, fmt.Errorf("%q is not the number of a descriptor above 2", os.Args[1]))
	}
	connection := os.NewFile(uintptr(number), "connection")
	if _, err := connection.Stat(); err != nil {
		fail(exitUsage, err)
	}
	return connection
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(code)
}

func readFrame(from *bufio.Reader) ([]byte, error) {
	length, err := binary.ReadUvarint(from)
	if err != nil {
		return nil, err
	}
	if length > limit {
		return nil, fmt.Errorf("a message of %d bytes is too large", length)
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(from, message); err != nil {
		return nil, fmt.Errorf("the connection was closed in the middle of a message: %v", err)
	}
	return message, nil
}

func frame(message []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(message))), message...)
}

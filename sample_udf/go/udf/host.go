package udf

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"roma/wire"
)

// Host is the connection on which a UDF calls functions of its host, one at a time.
type Host struct {
	connection *os.File
	answers    *bufio.Reader
	calls      uint64
}

// HostError is the host's refusal of a call.
type HostError struct {
	// Code is a gRPC status code.
	Code    int32
	Message string
}

func (err *HostError) Error() string {
	return fmt.Sprintf("the host answered with code %d: %s", err.Code, err.Message)
}

// Connect takes the connection, descriptor 4, once.
func Connect() (*Host, error) {
	connection := os.NewFile(4, "host")
	info, err := connection.Stat()
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil, errors.New("the host offers no functions to this code")
	}
	return &Host{connection: connection, answers: bufio.NewReader(connection)}, nil
}

// Call calls a function whose argument and result are encoded messages.
func (host *Host) Call(function string, argument []byte) ([]byte, error) {
	host.calls++
	var call []byte
	call = wire.AppendUint(call, 1, host.calls)
	call = wire.AppendBytes(call, 2, []byte(function))
	call = wire.AppendBytes(call, 3, argument)
	if _, err := host.connection.Write(frame(call)); err != nil {
		return nil, err
	}
	answer, err := readFrame(host.answers)
	if err != nil {
		return nil, err
	}
	fields, err := wire.Fields(answer)
	if err != nil {
		return nil, err
	}
	if wire.Last(fields, 1).Uint != host.calls {
		return nil, errors.New("the host's answer belongs to another call")
	}
	if code := int32(wire.Last(fields, 2).Uint); code != 0 {
		return nil, &HostError{Code: code, Message: string(wire.Last(fields, 3).Bytes)}
	}
	return wire.Last(fields, 4).Bytes, nil
}

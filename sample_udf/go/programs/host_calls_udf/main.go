// Calls every function of its host. See host_calls.proto for the numbers.
package main

import (
	"bytes"
	"errors"

	"roma/udf"
	"roma/wire"
)

const service = "roma.sample.host_calls.SampleHostService/"

func main() {
	udf.Serve(func(encoded []byte) ([]byte, error) {
		request, err := wire.Fields(encoded)
		if err != nil {
			return nil, err
		}
		host, err := udf.Connect()
		if err != nil {
			return nil, err
		}
		return ask(host, wire.Last(request, 1).Bytes, wire.Last(request, 2).Uint)
	})
}

func ask(host *udf.Host, question []byte, size uint64) ([]byte, error) {
	text := wire.AppendBytes(nil, 1, question)
	answer, err := call(host, "Ask", text)
	if err != nil {
		return nil, err
	}
	sent, err := call(host, "Take", wire.AppendBytes(nil, 1, bytes.Repeat([]byte{7}, int(size))))
	if err != nil {
		return nil, err
	}
	received, err := call(host, "Give", wire.AppendUint(nil, 1, size))
	if err != nil {
		return nil, err
	}
	response := wire.AppendBytes(nil, 1, answer.Bytes)
	response = wire.AppendUint(response, 2, sent.Uint)
	response = wire.AppendUint(response, 3, uint64(len(received.Bytes)))

	var refusal *udf.HostError
	if _, err := call(host, "Refuse", text); !errors.As(err, &refusal) {
		return nil, errors.New("the host accepted a call that it must refuse")
	}
	response = wire.AppendBytes(response, 4, []byte(refusal.Message))
	return wire.AppendUint(response, 5, uint64(refusal.Code)), nil
}

// call calls a method whose result is its first field.
func call(host *udf.Host, method string, argument []byte) (wire.Field, error) {
	result, err := host.Call(service+method, argument)
	if err != nil {
		return wire.Field{}, err
	}
	fields, err := wire.Fields(result)
	return wire.Last(fields, 1), err
}

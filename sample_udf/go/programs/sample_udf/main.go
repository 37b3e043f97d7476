// Does several kinds of work: greets, sieves and sorts. See sample.proto for the numbers.
package main

import (
	"errors"

	"roma/udf"
	"roma/wire"
)

// The tasks, and the outcomes of the same numbers.
const (
	helloWorld = 1
	primeSieve = 2
	sortList   = 3
)

func main() {
	udf.Serve(func(request []byte) ([]byte, error) {
		tasks, err := wire.Fields(request)
		if err != nil {
			return nil, err
		}
		if len(tasks) == 0 {
			return nil, errors.New("the request has no task")
		}
		// If several variants are present, the last one takes precedence.
		task := tasks[len(tasks)-1]
		outcome, err := do(task)
		if err != nil {
			return nil, err
		}
		return wire.AppendBytes(nil, task.Number, outcome), nil
	})
}

func do(task wire.Field) ([]byte, error) {
	parameters, err := wire.Fields(task.Bytes)
	if err != nil {
		return nil, err
	}
	switch task.Number {
	case helloWorld:
		return wire.AppendBytes(nil, 1, []byte("Hello, world!")), nil
	case primeSieve:
		return sieve(parameters)
	case sortList:
		return sortOne(uint32(wire.Last(parameters, 1).Uint)), nil
	}
	return nil, errors.New("this sample does not implement the task")
}

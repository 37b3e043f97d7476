package main

import (
	"errors"
	"time"

	"roma/wire"
)

// The bound of each round of a sieve that runs for some time.
const boundOfARound = 100_000

// Field numbers of PrimeSieveRequest and of Duration.
const (
	upTo    = 1
	atLeast = 2
	seconds = 1
	nanos   = 2
)

// sieve runs the requested sieve.
func sieve(parameters []wire.Field) ([]byte, error) {
	if len(parameters) == 0 {
		return nil, errors.New("the sieve has no limit")
	}
	limit := parameters[len(parameters)-1]
	switch limit.Number {
	case upTo:
		return summary(primes(uint64(uint32(limit.Uint))), 1), nil
	case atLeast:
		return sieveFor(limit.Bytes)
	}
	return nil, errors.New("the sieve has no limit")
}

func sieveFor(encoded []byte) ([]byte, error) {
	parts, err := wire.Fields(encoded)
	if err != nil {
		return nil, err
	}
	whole := int64(wire.Last(parts, seconds).Uint)
	duration := time.Duration(whole)*time.Second + time.Duration(int32(wire.Last(parts, nanos).Uint))
	if duration < 0 {
		return nil, errors.New("the sieve's time is negative")
	}
	start := time.Now()
	for rounds := uint64(1); ; rounds++ {
		if found := primes(boundOfARound); time.Since(start) >= duration {
			return summary(found, rounds), nil
		}
	}
}

// primes returns all prime numbers up to and including bound.
func primes(bound uint64) []uint64 {
	isComposite := make([]bool, bound+1)
	var found []uint64
	for number := uint64(2); number <= bound; number++ {
		if isComposite[number] {
			continue
		}
		found = append(found, number)
		for multiple := number * number; multiple <= bound; multiple += number {
			isComposite[multiple] = true
		}
	}
	return found
}

func summary(primes []uint64, rounds uint64) []byte {
	response := wire.AppendUint(nil, 1, uint64(len(primes)))
	if len(primes) > 0 {
		response = wire.AppendPresentUint(response, 2, primes[len(primes)-1])
	}
	return wire.AppendUint(response, 3, rounds)
}

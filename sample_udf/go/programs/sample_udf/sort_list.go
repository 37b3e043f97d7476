package main

import (
	"sort"

	"roma/wire"
)

// list returns the list that SortListRequest describes.
func list(length uint32) []uint32 {
	numbers := make([]uint32, length)
	state := uint32(0x9e3779b9)
	for index := range numbers {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		numbers[index] = state
	}
	return numbers
}

func sortOne(length uint32) []byte {
	numbers := list(length)
	sort.Slice(numbers, func(one, two int) bool { return numbers[one] < numbers[two] })
	if len(numbers) == 0 {
		return nil
	}
	response := wire.AppendUint(nil, 1, uint64(length))
	response = wire.AppendUint(response, 2, uint64(numbers[0]))
	response = wire.AppendUint(response, 3, uint64(numbers[len(numbers)/2]))
	return wire.AppendUint(response, 4, uint64(numbers[len(numbers)-1]))
}

package bpf

import "testing"

func compiled(t *testing.T, instructions ...Instruction) Program {
	program, err := Compile(instructions, false)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// What a filter reads decides whether its result may be kept for a system call number, and so shared by a child.
func TestInstrumentedExecReportsEachByteThatWasRead(t *testing.T) {
	program := compiled(t,
		Stmt(Ld|Abs|W, 0),
		Jump(Jmp|Jeq|K, 1, 0, 1),
		Stmt(Ld|Abs|W, 8),
		Stmt(Ret|K, 3))
	for _, test := range []struct {
		name  string
		first byte
		reads [12]bool
	}{
		{"the branch with another read", 1, [12]bool{true, true, true, true, false, false, false, false, true, true, true, true}},
		{"the branch without", 2, [12]bool{true, true, true, true}},
	} {
		input := make(Input, 12)
		input[0] = test.first
		metrics, err := InstrumentedExec[NativeEndian](program, input)
		if err != nil {
			t.Fatal(err)
		}
		if metrics.ReturnValue != 3 {
			t.Errorf("%s: returned %d", test.name, metrics.ReturnValue)
		}
		for offset, want := range test.reads {
			if metrics.InputAccessed[offset] != want {
				t.Errorf("%s: byte %d: %v", test.name, offset, !want)
			}
		}
	}
}

func TestExecAndInstrumentedExecAgree(t *testing.T) {
	program := compiled(t,
		Stmt(Ld|Abs|W, 4),
		Stmt(Alu|And|K, 0xff),
		Jump(Jmp|Jgt|K, 7, 0, 1),
		Stmt(Ret|K, 1),
		Stmt(Ret|K, 2))
	for value := 0; value < 256; value++ {
		input := make(Input, 8)
		input[4] = byte(value)
		plain, err := Exec[NativeEndian](program, input)
		if err != nil {
			t.Fatal(err)
		}
		metrics, err := InstrumentedExec[NativeEndian](program, input)
		if err != nil {
			t.Fatal(err)
		}
		if plain != metrics.ReturnValue {
			t.Errorf("%d: %d and %d", value, plain, metrics.ReturnValue)
		}
	}
}

func TestReadBeyondTheInputIsAnError(t *testing.T) {
	program := compiled(t, Stmt(Ld|Abs|W, 8), Stmt(Ret|A, 0))
	if _, err := Exec[NativeEndian](program, make(Input, 8)); err == nil {
		t.Error("no error")
	}
}

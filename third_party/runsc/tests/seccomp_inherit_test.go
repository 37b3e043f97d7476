package kernel

import (
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/abi/sentry"
	"gvisor.dev/gvisor/pkg/bpf"
)

const (
	native  = linux.AUDIT_ARCH_X86_64
	foreign = linux.AUDIT_ARCH_AARCH64

	offsetOfNumber = 0
	offsetOfArch   = 4
	offsetOfArg0   = 16
)

// task returns a task that is only good for filters.
func task(arch uint32) *Task {
	return &Task{image: TaskImage{st: &SyscallTable{AuditNumber: arch}}}
}

func compile(t testing.TB, instructions ...bpf.Instruction) bpf.Program {
	program, err := bpf.Compile(instructions, false)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// deny refuses one system call with an errno, and allows all others.
func deny(t testing.TB, number, errno uint32) bpf.Program {
	return compile(t,
		bpf.Stmt(bpf.Ld|bpf.Abs|bpf.W, offsetOfNumber),
		bpf.Jump(bpf.Jmp|bpf.Jeq|bpf.K, number, 0, 1),
		bpf.Stmt(bpf.Ret|bpf.K, uint32(linux.SECCOMP_RET_ERRNO)|errno),
		bpf.Stmt(bpf.Ret|bpf.K, uint32(linux.SECCOMP_RET_ALLOW)))
}

// denyUnlessArgument refuses one system call unless its first argument is `value`.
func denyUnlessArgument(t testing.TB, number, value uint32) bpf.Program {
	return compile(t,
		bpf.Stmt(bpf.Ld|bpf.Abs|bpf.W, offsetOfNumber),
		bpf.Jump(bpf.Jmp|bpf.Jeq|bpf.K, number, 0, 3),
		bpf.Stmt(bpf.Ld|bpf.Abs|bpf.W, offsetOfArg0),
		bpf.Jump(bpf.Jmp|bpf.Jeq|bpf.K, value, 1, 0),
		bpf.Stmt(bpf.Ret|bpf.K, uint32(linux.SECCOMP_RET_ERRNO)|1),
		bpf.Stmt(bpf.Ret|bpf.K, uint32(linux.SECCOMP_RET_ALLOW)))
}

// denyForeign refuses everything of another architecture.
func denyForeign(t testing.TB) bpf.Program {
	return compile(t,
		bpf.Stmt(bpf.Ld|bpf.Abs|bpf.W, offsetOfArch),
		bpf.Jump(bpf.Jmp|bpf.Jeq|bpf.K, native, 1, 0),
		bpf.Stmt(bpf.Ret|bpf.K, uint32(linux.SECCOMP_RET_ERRNO)|2),
		bpf.Stmt(bpf.Ret|bpf.K, uint32(linux.SECCOMP_RET_ALLOW)))
}

func filtered(arch uint32, programs ...bpf.Program) *taskSeccomp {
	ts := &taskSeccomp{filters: programs}
	ts.populateCache(task(arch))
	return ts
}

func TestChildOfTaskWithoutFiltersHasNone(t *testing.T) {
	if got := (*taskSeccomp)(nil).inherited(task(native)); got != nil {
		t.Errorf("the child has %v", got)
	}
}

func TestChildSharesWhatWouldBeComputedAnew(t *testing.T) {
	nested := []bpf.Program{denyForeign(t), deny(t, 42, 7), deny(t, 42, 8), denyUnlessArgument(t, 43, 5)}
	parent := filtered(native, nested...)
	if parent.inherited(task(native)) != parent {
		t.Error("the child has a copy")
	}
	fresh := parent.copy()
	fresh.populateCache(task(native))
	if fresh.cache != parent.cache {
		t.Error("evaluating the filters for the child has another result")
	}
	for number, want := range map[int]linux.BPFAction{
		0:                    linux.SECCOMP_RET_ALLOW,
		42:                   linux.SECCOMP_RET_ERRNO | 8,
		43:                   uncacheableBPFAction,
		sentry.MaxSyscallNum: linux.SECCOMP_RET_ALLOW,
	} {
		if got := parent.cache[number]; got != want {
			t.Errorf("system call %d: %#x, want %#x", number, got, want)
		}
	}
}

func TestChildOfAnotherArchitectureHasItsOwn(t *testing.T) {
	parent := filtered(native, denyForeign(t))
	before := *parent
	child := parent.inherited(task(foreign))
	if child == parent {
		t.Fatal("the child shares results for another architecture")
	}
	if child.cacheAuditNumber != foreign || child.cache[0] != linux.SECCOMP_RET_ERRNO|2 {
		t.Errorf("results for %#x: %#x", child.cacheAuditNumber, child.cache[0])
	}
	if parent.cache != before.cache || parent.cacheAuditNumber != native {
		t.Error("the parent's results changed")
	}
}

func TestFilterOfChildIsNotItsParents(t *testing.T) {
	tg := &ThreadGroup{signalHandlers: &SignalHandlers{}}
	parent, child := task(native), task(native)
	parent.tg, child.tg = tg, &ThreadGroup{signalHandlers: &SignalHandlers{}}
	shared := filtered(native, deny(t, 42, 7))
	parent.seccomp.Store(shared)
	parent.inheritSeccomp(child)
	if err := child.AppendSyscallFilter(deny(t, 44, 7), false); err != nil {
		t.Fatal(err)
	}
	if parent.seccomp.Load() != shared || shared.cache[44] != linux.SECCOMP_RET_ALLOW {
		t.Error("the parent has the child's filter")
	}
	got := child.seccomp.Load().cache
	if got[42] != linux.SECCOMP_RET_ERRNO|7 || got[44] != linux.SECCOMP_RET_ERRNO|7 {
		t.Errorf("the child has %#x and %#x", got[42], got[44])
	}
}

// A thread synchronizes a filter while another one starts a third, which is already in the thread group.
func TestSynchronizedFilterReachesThreadThatIsBeingStarted(t *testing.T) {
	for round := 0; round < 100; round++ {
		tg := &ThreadGroup{signalHandlers: &SignalHandlers{}}
		parent, child, other := task(native), task(native), task(native)
		for _, each := range []*Task{parent, child, other} {
			each.tg = tg
			tg.tasks.PushBack(each)
		}
		parent.seccomp.Store(filtered(native, denyForeign(t)))
		other.seccomp.Store(parent.seccomp.Load())
		var both sync.WaitGroup
		both.Add(2)
		go func() {
			defer both.Done()
			parent.inheritSeccomp(child)
		}()
		program := deny(t, 42, 7)
		go func() {
			defer both.Done()
			if err := other.AppendSyscallFilter(program, true); err != nil {
				t.Error(err)
			}
		}()
		both.Wait()
		if got := child.seccomp.Load().cache[42]; got != linux.SECCOMP_RET_ERRNO|7 {
			t.Fatalf("round %d: the thread that was started is not filtered: %#x", round, got)
		}
	}
}

func BenchmarkInherit(b *testing.B) {
	parent, child := filtered(native, deny(b, 42, 7)), task(native)
	for b.Loop() {
		_ = parent.inherited(child)
	}
}

func BenchmarkEvaluateAnew(b *testing.B) {
	parent, child := filtered(native, deny(b, 42, 7)), task(native)
	b.ReportAllocs()
	for b.Loop() {
		own := parent.copy()
		own.populateCache(child)
	}
}

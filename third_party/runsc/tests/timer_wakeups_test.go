package time

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a clock of the machine.
type clock struct {
	WallRateClock
	NoClockEvents
}

func (*clock) Now() Time {
	return now()
}

func now() Time {
	return FromNanoseconds(time.Now().UnixNano())
}

// counter counts notifications, and the expirations that they tell of.
type counter struct {
	notifications, expirations atomic.Uint64
}

func (c *counter) NotifyTimer(expirations uint64, _ Setting) (Setting, bool) {
	c.notifications.Add(1)
	c.expirations.Add(expirations)
	return Setting{}, false
}

func TestFastTimersShareTheirWakeupsAndLoseNoExpiration(t *testing.T) {
	const timers = 10
	var counters [timers]counter
	var running [timers]*Timer
	begun := time.Now()
	for i := range running {
		running[i] = NewTimer(&clock{}, &counters[i])
		running[i].Swap(Setting{Enabled: true, Period: 1, Next: now()})
	}
	time.Sleep(300 * time.Millisecond)
	asked := time.Since(begun)
	var notifications uint64
	for i, timer := range running {
		timer.Get()
		notifications += counters[i].notifications.Load()
		// The timer began a moment after `begun`.
		if got := counters[i].expirations.Load(); got < uint64(asked)/2 {
			t.Errorf("timer %d: %d expirations of %d", i, got, asked)
		}
	}
	// Each was told at its start, and by Get.
	most := uint64(time.Since(begun)/kickInterval) + 3*timers
	if notifications > most {
		t.Errorf("%d notifications, at most %d", notifications, most)
	}
	for _, timer := range running {
		timer.Destroy()
	}
	if left := fastTimers.Load(); left != 0 {
		t.Errorf("%d fast timers are left", left)
	}
}

func TestASlowTimerIsNotDelayedByFastOnes(t *testing.T) {
	var fast counter
	busy := NewTimer(&clock{}, &fast)
	defer busy.Destroy()
	busy.Swap(Setting{Enabled: true, Period: 1, Next: now()})
	fired := make(chan struct{})
	slow := NewTimer(&clock{}, &once{fired: fired})
	defer slow.Destroy()
	slow.Swap(Setting{Enabled: true, Next: now().Add(time.Millisecond)})
	<-fired
	if slow.fast {
		t.Error("a timer without a period counts as fast")
	}
}

// once closes a channel at its first notification.
type once struct {
	fired chan struct{}
	done  sync.Once
}

func (o *once) NotifyTimer(uint64, Setting) (Setting, bool) {
	o.done.Do(func() { close(o.fired) })
	return Setting{}, false
}

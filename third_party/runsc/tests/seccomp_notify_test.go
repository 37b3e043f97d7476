package systrap

import "testing"

func TestSeccompNotifyIsUsedWhereTheHostHasIt(t *testing.T) {
	// A filter at no address: EFAULT says that the host knows the flag. The kernel here is 5.0 or newer.
	initSeccompNotify()
	if !seccompNotifyIsSupported {
		t.Error("the host has seccomp notification, and it is not used")
	}
}

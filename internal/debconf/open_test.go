package debconf_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"postfix-maint/internal/debconf"
)

// TestMain lets the test program play the maintainer script: it opens the conversation, starts a program that outlives
// it, says one thing, and ends.
func TestMain(m *testing.M) {
	if os.Getenv("DEBCONF_TEST_SCRIPT") == "" {
		os.Exit(m.Run())
	}
	c, err := debconf.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	daemon := exec.Command("sleep", "20")
	if err := daemon.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	value, err := c.Get("a/b")
	fmt.Println(value, daemon.Process.Pid, err)
	os.Exit(0)
}

func TestNoProgramInheritsTheConversation(t *testing.T) {
	replies, toScript, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromScript, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	script := exec.Command(os.Args[0])
	script.Env = append(os.Environ(), "DEBCONF_TEST_SCRIPT=1", "DEBIAN_HAS_FRONTEND=1", "DEBCONF_REDIR=1")
	script.Stdin, script.ExtraFiles, script.Stderr = replies, []*os.File{commands}, os.Stderr
	output, err := script.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	replies.Close()
	commands.Close()

	lines := bufio.NewReader(fromScript)
	if line, err := lines.ReadString('\n'); err != nil || line != "GET a/b\n" {
		t.Fatalf("the script says %q, %v", line, err)
	}
	io.WriteString(toScript, "0 value\n")
	var value, failed string
	var daemon int
	if _, err := fmt.Fscan(output, &value, &daemon, &failed); err != nil || value != "value" || failed != "<nil>" {
		t.Fatalf("the script got %q, %s, %v", value, failed, err)
	}
	process, _ := os.FindProcess(daemon)
	defer process.Kill()

	// The script has ended, its daemon lives: the frontend must see both ends closed now.
	ended := make(chan error, 1)
	go func() {
		_, err := lines.ReadString('\n')
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != io.EOF {
			t.Errorf("after the script's end: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the daemon holds the descriptor of the commands")
	}
	// The kernel closes the descriptors of a process that ends in no certain order.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := io.WriteString(toScript, "0\n"); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the daemon holds the descriptor of the replies")
		}
	}
	if err := script.Wait(); err != nil {
		t.Error(err)
	}
}

func TestOpenWithoutFrontend(t *testing.T) {
	t.Setenv("DEBCONF_REDIR", "1")
	t.Setenv("DEBIAN_HAS_FRONTEND", "")
	if _, err := debconf.Open(); err == nil {
		t.Error("there is no frontend, and Open finds one")
	}
	t.Setenv("DEBIAN_HAS_FRONTEND", "1")
	t.Setenv("DEBCONF_REDIR", "")
	if _, err := debconf.Open(); err == nil {
		t.Error("confmodule was not sourced, and Open does not notice")
	}
}

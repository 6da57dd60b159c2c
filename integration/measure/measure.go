// Package measure (test helper, outside the rings) counts and times what a command does on a test host.
package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"postfix-maint/integration/hosts"
)

// trace is where strace(1) writes inside a host.
const trace = "/run/measure.trace"

// Trace runs a command under strace and gives the system calls asked for, one a line, of all its processes. It ends before
// daemons do that the command leaves running.
func Trace(ctx context.Context, h *hosts.Host, calls string, args ...string) ([]string, error) {
	script := `rm -f ` + trace + `; touch ` + trace + `; strace -f -qqq -y -s 200 -e signal=none -e trace="$0" -o ` + trace + ` "$@"`
	if _, err := h.Run(ctx, append([]string{"bash", "-euc", script, calls}, args...)...); err != nil {
		return nil, err
	}
	// /run of a booted host is a file system of its own: not to be seen from outside.
	out, err := h.Command(ctx, "cat", trace).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot read what strace wrote: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
}

var execLine = regexp.MustCompile(`execve\("([^"]+)", \[(.*?)\].*= 0$|<\.\.\. execve resumed>.*= 0$`)

// Execs lists the programs that a command executes, itself included.
func Execs(ctx context.Context, h *hosts.Host, args ...string) ([]string, error) {
	lines, err := Trace(ctx, h, "execve", args...)
	return executed(lines), err
}

// executed picks the calls that began a program.
func executed(lines []string) (programs []string) {
	for _, line := range lines {
		if m := execLine.FindStringSubmatch(line); m != nil {
			programs = append(programs, m[1]+" "+strings.ReplaceAll(m[2], `"`, ""))
		}
	}
	return programs
}

// afterwards is how long Started goes on looking: what a unit of ours waits for begins by then.
const afterwards = 5 * time.Second

// Started lists the programs that a host's first process and its children execute while do runs and for some seconds more: those of
// the units that do starts. What has been running before is not looked at.
func Started(ctx context.Context, h *hosts.Host, do func() error) ([]string, error) {
	pid, err := h.Sh(ctx, `rm -f `+trace+`; touch `+trace+`
		strace -f -qqq -s 200 -e signal=none -e trace=execve -o `+trace+` -p 1 </dev/null >/dev/null 2>&1 & echo $!
		for try in $(seq 100); do ! grep -q '^TracerPid:.*[1-9]' /proc/1/status || exit 0; sleep 0.05; done; exit 1`)
	if err != nil {
		return nil, err
	}
	err = do()
	time.Sleep(afterwards)
	pid = strings.TrimSpace(pid)
	out, again := h.Sh(ctx, "kill -INT "+pid+"; while [ -e /proc/"+pid+" ]; do sleep 0.05; done; cat "+trace)
	return executed(strings.Split(strings.TrimSpace(out), "\n")), errors.Join(err, again)
}

// Memory gives the most memory that a command, or one of the programs that it runs, had at once, in KiB; never less than the few MiB
// of the interpreter that looks. It runs on amd64 only: perl has no name for getrusage(2).
func Memory(ctx context.Context, h *hosts.Host, args ...string) (int, error) {
	const script = `system(@ARGV) == 0 or exit 1; my $usage = "\0" x 144; syscall(98, -1, $usage); print STDERR "most: ", unpack("x32 q", $usage), "\n"`
	out, err := h.Run(ctx, append([]string{"perl", "-e", script}, args...)...)
	if err != nil {
		return 0, err
	}
	_, number, _ := strings.Cut(out, "most: ")
	var most int
	if _, err := fmt.Sscan(number, &most); err != nil {
		return 0, fmt.Errorf("cannot tell the memory of %q: %w: %s", args, err, out)
	}
	return most, nil
}

// writing are the system calls that change a file system.
const writing = "openat,open,creat,write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat," +
	"symlink,symlinkat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,truncate,ftruncate,utimensat,mknod,mknodat,setxattr,fsetxattr," +
	"sendfile,copy_file_range,fallocate"

var (
	openLine   = regexp.MustCompile(`\bopen(at)?\(|\bcreat\(`)
	openWrites = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|\bcreat\(`)
	writeLine  = regexp.MustCompile(`\b(write|pwrite64|writev|sendfile|copy_file_range)\(\d+<([^>]*)>.* = (-?\d+)`)
	failed     = regexp.MustCompile(` = -1 `)
)

// Writes lists the calls by which a command changed a file system, and how many bytes it wrote into files.
func Writes(ctx context.Context, h *hosts.Host, args ...string) (calls []string, bytes int, err error) {
	lines, err := Trace(ctx, h, writing, args...)
	if err != nil {
		return nil, 0, err
	}
	for _, line := range lines {
		switch m := writeLine.FindStringSubmatch(line); {
		case failed.MatchString(line):
		case m != nil:
			if isFile(m[2]) {
				n := 0
				_, _ = fmt.Sscan(m[3], &n)
				bytes += n
				calls = append(calls, line)
			}
		case openLine.MatchString(line):
			if openWrites.MatchString(line) && !strings.Contains(line, `"/dev/`) {
				calls = append(calls, line)
			}
		case strings.Contains(line, " exited with ") || strings.TrimSpace(line) == "":
		default:
			calls = append(calls, line)
		}
	}
	return calls, bytes, nil
}

// isFile tells whether strace's name of a descriptor is a file's, not a pipe's, a socket's or a device's.
func isFile(name string) bool {
	return strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "/dev/") && !strings.HasPrefix(name, "/proc/")
}

// Probe is what connecting to a port every 50 ms found.
type Probe struct {
	Tries, Failed int
	Longest       time.Duration // without an answer
}

// Port connects to a port of the host every 50 ms, from within it, until stop is closed. Connecting is all that it does: the
// kernel answers as long as the master process holds the socket.
func Port(ctx context.Context, h *hosts.Host, address string, stop <-chan struct{}) Probe {
	var p Probe
	var since time.Time
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		p.Tries++
		conn, err := h.Dial(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			since = time.Time{}
		} else {
			p.Failed++
			if since.IsZero() {
				since = time.Now()
			}
			p.Longest = max(p.Longest, time.Since(since)+50*time.Millisecond)
		}
		select {
		case <-stop:
			return p
		case <-ctx.Done():
			return p
		case <-tick.C:
		}
	}
}

// During gives what connecting to port 25 finds while do runs and for two seconds more.
func During(ctx context.Context, h *hosts.Host, do func() error) (Probe, error) {
	stop, found := make(chan struct{}), make(chan Probe)
	go func() { found <- Port(ctx, h, "127.0.0.1:25", stop) }()
	err := do()
	time.Sleep(2 * time.Second)
	close(stop)
	return <-found, err
}

// Cost is what a run of a command takes, as the shell tells it (bash's "time"): CPU is that of the command and of the children that
// it waited for, not of the services that it asked systemd to start.
type Cost struct{ Wall, CPU time.Duration }

// CostOf runs a command in a host.
func CostOf(ctx context.Context, h *hosts.Host, command string) (Cost, error) {
	out, err := h.Command(ctx, "bash", "-uc", `TIMEFORMAT="%R %U %S"; time eval "$1" >/tmp/said 2>&1 </dev/null || { cat /tmp/said; exit 1; }`,
		"time", command).CombinedOutput()
	var wall, user, system float64
	if _, scan := fmt.Sscan(string(out), &wall, &user, &system); err != nil || scan != nil {
		return Cost{}, fmt.Errorf("cannot time %q: %w: %s", command, errors.Join(err, scan), out)
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return Cost{seconds(wall), seconds(user + system)}, nil
}

// CPU gives how long each of n runs of a command kept the processors busy, on average, what the shell itself does before each included.
// Unlike a time on the clock it says something on a busy machine.
func CPU(ctx context.Context, h *hosts.Host, n int, before, command string) (time.Duration, error) {
	const script = `TIMEFORMAT="%U %S"
		time for i in $(seq "$1"); do eval "$2"; eval "$3" >/tmp/said 2>&1 </dev/null || { cat /tmp/said; exit 1; }; done`
	out, err := h.Command(ctx, "bash", "-uc", script, "time", fmt.Sprint(n), before, command).CombinedOutput()
	var user, system float64
	if _, scan := fmt.Sscan(string(out), &user, &system); err != nil || scan != nil {
		return 0, fmt.Errorf("cannot time %q: %w: %s", command, errors.Join(err, scan), out)
	}
	return time.Duration((user + system) * float64(time.Second) / float64(n)), nil
}

// MedianCost is the median of each part.
func MedianCost(costs []Cost) Cost {
	var wall, cpu []time.Duration
	for _, c := range costs {
		wall, cpu = append(wall, c.Wall), append(cpu, c.CPU)
	}
	return Cost{Median(wall), Median(cpu)}
}

// Median is the middle of some durations.
func Median(times []time.Duration) time.Duration {
	sorted := append([]time.Duration{}, times...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	return sorted[len(sorted)/2]
}

// Time runs a command n times, itself timed inside the host by the shell, so that entering it does not count. The command's
// output is thrown away; a run that fails is an error.
func Time(ctx context.Context, h *hosts.Host, n int, command string) ([]time.Duration, error) {
	const script = `for i in $(seq "$1"); do
		a=$EPOCHREALTIME; eval "$2" >/dev/null 2>&1 </dev/null || exit 1; b=$EPOCHREALTIME
		echo $((${b/./} - ${a/./}))
	done`
	out, err := h.Command(ctx, "bash", "-uc", script, "time", fmt.Sprint(n), command).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot time %q: %w", command, err)
	}
	var times []time.Duration
	for word := range strings.FieldsSeq(string(out)) {
		var us int
		if _, err := fmt.Sscan(word, &us); err != nil {
			return nil, fmt.Errorf("cannot time %q: %w", command, err)
		}
		times = append(times, time.Duration(us)*time.Microsecond)
	}
	if len(times) != n {
		return nil, errors.New("cannot time: the shell did not report every run")
	}
	return times, nil
}

// Stamps maps every file below the directories to its size, mode and times of change: equal stamps mean that nothing was
// written, not even the same content again.
func Stamps(h *hosts.Host, dirs ...string) (map[string]string, error) {
	stamps := map[string]string{}
	for _, dir := range dirs {
		err := filepath.Walk(filepath.Join(h.Root(), dir), func(p string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			stamps[strings.TrimPrefix(p, h.Root())] = fmt.Sprint(info.Mode(), " ", info.Size(), " ", info.ModTime().UnixNano())
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the time stamps below %q: %w", dir, err)
		}
	}
	return stamps, nil
}

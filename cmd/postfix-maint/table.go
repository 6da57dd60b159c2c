package main

import (
	"slices"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/multi"
)

// table has a row for every command, in the order of the help. A row without a flow heads the rows that begin with its word; a row with an
// option in its words stands for the command above it when that option is given.
func table() []row {
	dry, json, inst := dryRunFlag(), jsonFlag(), instanceFlag()
	return slices.Concat(looks(), []row{
		{words: "config", operands: "configure|reconfigure [VERSION]", who: scripts, do: script(config), usage: "ask the questions"},
		{words: "postinst", operands: "configure|triggered|abort-upgrade|abort-remove|abort-deconfigure [ARGUMENT...]", who: scripts,
			do: script(postinst), usage: "configure the package"},
		{words: "prerm", operands: "remove|upgrade|failed-upgrade|deconfigure [ARGUMENT...]", who: scripts,
			do: script(prerm), usage: "stop for a removal"},
		{words: "apply", flags: flags{dry, json}, who: anywhere, locks: true, do: shown(apply, printChanges),
			usage: "do the steps of the set-up with the answers in the debconf database"},
		{words: "check-config", flags: fixFlags(), who: anywhere, first: fixOptions, do: shown(checkConfig, printNotes),
			usage: "find outdated settings and say what to write instead"},
		{words: "check-config --fix", who: anywhere, locks: true, do: fixConfigs},
		{words: "adopt", operands: "[DEB]", flags: adoptFlags(), who: anybody, first: adoptOptions, do: shown(adoptOne, printAdopted),
			usage: "write Debian's package postfix out again with this layer; without DEB the version that apt would install is fetched"},
		{words: "adopt --hand-over", who: anywhere, do: handOver},
		{words: "adopt --install", who: packagers, locks: true, do: shown(adopting(adopt.Host.Install), printAdoption)},
		{words: "adopt --revert", who: packagers, locks: true, do: shown(revert, printAdoption)},
		{words: "adopt --status", who: onHost, do: shown(adopting(adopt.Host.Status), printAdoptionStatus)},
		{words: "adopt --refresh", who: packagers, do: shown(refresh, printNothing)},
		{words: "sandbox", operands: "default|strict|status", who: anywhere, do: shown(chooseSandbox, printSandbox),
			usage: "choose how tightly systemd confines the daemons: strict also reaches programs run for users from ~/.forward, aliases and pipe(8)"},
		{words: "chroot", usage: "run the services chrooted or not, and keep the chroot right"},
		{words: "chroot on", operands: "[INSTANCE]", flags: flags{dry, json}, who: anywhere, locks: true,
			do: chroots(switchTo(true), syncAllSyslog, printChange), usage: "run Postfix's services chrooted"},
		{words: "chroot off", operands: "[INSTANCE]", flags: flags{dry, json}, who: anywhere, locks: true,
			do: chroots(switchTo(false), syncAllSyslog, printChange), usage: "run no service chrooted, and take our files out of the queue directory"},
		{words: "chroot status", operands: "[INSTANCE]", flags: flags{json}, who: anywhere,
			do: chroots(statusChroot, noSyslog, printStatus), usage: "say which services run chrooted"},
		{words: "chroot sync", operands: "[INSTANCE]", flags: flags{dry, json}, who: anywhere, locks: true,
			do: chroots(syncChroot, syncAllSyslog, printChange), usage: "bring the chroot up to date"},
		{words: "chroot check", operands: "[INSTANCE]", flags: flags{json}, who: anywhere, do: chroots(checkChroot, checkSyslog, printCheck),
			usage: "list what is missing, stale or foreign; exit status 1 if anything is missing, stale or out of a service's reach, not for warnings"},
		{words: "instance", usage: "make, list, enable, disable and remove Postfix instances"},
		{words: "instance create", operands: "NAME", flags: append(createFlags(), dry), who: managers, locks: true,
			do: onInstance(createInstance), usage: "make an instance, enable and start it"},
		{words: "instance list", flags: flags{json}, who: managers, do: shown(listInstances, printInstances), usage: "show all instances"},
		{words: "instance enable", operands: "NAME", flags: flags{dry}, who: managers, locks: true,
			do: onInstance(byName((*multi.Host).Enable)), usage: "start an instance, now and at boot"},
		{words: "instance disable", operands: "NAME", flags: flags{dry}, who: managers, locks: true,
			do: onInstance(byName((*multi.Host).Disable)), usage: "stop an instance, and do not start it at boot"},
		{words: "instance remove", operands: "NAME", flags: flags{purgeQueueFlag(), dry}, who: managers, locks: true,
			do: onInstance(removeInstance), usage: "stop an instance and take away what is Postfix's of it"},
		{words: "smarthost", usage: "send all mail through a relay: address, TLS, account, sender rewriting, root's mail"},
		{words: "smarthost set", flags: append(setFlags(), inst, dry, json), who: relayKeepers, first: readPassword, locks: true,
			do:    shown(changeSmarthost(setSmarthost), printChanges),
			usage: "bring a smarthost into force; what is not named stays as the last set left it"},
		{words: "smarthost unset", flags: flags{inst, dry, json}, who: relayKeepers, locks: true,
			do: shown(changeSmarthost(unsetSmarthost), printChanges), usage: "go back to what was in force before the first set"},
		{words: "smarthost show", flags: flags{inst, json}, who: relayKeepers, do: shown(showSmarthost, printText), usage: "say what is in force"},
		{words: "smarthost test", operands: "ADDRESS", flags: flags{inst, json, waitFlag()}, who: relayKeepers, first: waitOption,
			do: shown(testSmarthost, printText), usage: "deliver a message through the relay and say how it went"},
		{words: "dynamicmap", usage: "register a map type of a library of its own (pcre, lmdb and so on), or take it out again"},
		{words: "dynamicmap add", operands: "TYPE [BUILD-FUNCTION]", who: mapKeepers, locks: true, do: onMaps(addMap),
			usage: "register a map type that is not registered yet"},
		{words: "dynamicmap remove", operands: "TYPE", who: mapKeepers, locks: true, do: onMaps(removeMap),
			usage: "take out a map type of Debian's; another library's stays"},
		{words: "shelter", who: startScript, do: shelter, usage: "keep a Postfix that is started by hand from ending with what starts it"},
	}, pastRows())
}

// looks are the commands that only look at the mail system.
func looks() []row {
	return []row{
		{words: "status", operands: "[INSTANCE]", flags: flags{jsonFlag(), watchFlag()}, who: lookers, first: watchOptions,
			do: showStatus, usage: "show the whole mail system on one screen"},
		{words: "doctor", operands: "[INSTANCE]", flags: flags{jsonFlag(), gateFlag()}, who: lookers, do: shown(examine, printText),
			usage: "find what is wrong with the mail system, and say what to do; exit status 1 if anything is, 2 if it could not look"},
	}
}

// pastRows are those about what was changed.
func pastRows() []row {
	dry, json := dryRunFlag(), jsonFlag()
	return []row{
		{words: "history", flags: flags{json}, who: anywhere, do: shown(listHistory, printHistory),
			usage: "list what was changed by our commands, dpkg and debconf"},
		{words: "history show", operands: "NUMBER", flags: flags{json}, who: anywhere, do: shown(showHistory, printPast),
			usage: "show one change as a diff"},
		{words: "undo", operands: "[NUMBER]", flags: flags{dry, json}, who: undoers, locks: true, do: shown(undo, printChanges),
			usage: "take a change back, the newest one by itself; what was edited since stays"},
	}
}

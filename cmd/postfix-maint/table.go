package main

import (
	"slices"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/multi"
)

// table has a row for every command, in the order of the help. A row without a flow heads the rows that begin with its word; a row with an
// option in its words stands for the command above it when that option is given. Help, completion and what is refused are made of it.
func table() []row {
	return slices.Concat(
		grouped("See", looks()), grouped("Change", changers()), grouped("Instances", instanceRows()), grouped("Chroot", chrootRows()),
		grouped("Relay", relayRows()), grouped("Package", packageRows()), grouped("Help", helpRows()), grouped("Run by dpkg and debconf", scriptRows()))
}

func grouped(group string, rows []row) []row {
	for i := range rows {
		rows[i].group = group
	}
	return rows
}

// looks are the commands that only look at the mail system.
func looks() []row {
	json, past := jsonFlag(), asRoot(anywhere, "read the history")
	return []row{
		{words: "status", operands: "[INSTANCE]", flags: flags{watchFlag(), json}, who: lookers, first: watchOptions, do: showStatus,
			page: "status", usage: "show the whole mail system on one screen", example: "status --watch"},
		{words: "doctor", operands: "[INSTANCE]", waits: "looking at the mail system", flags: doctorFlags(), who: lookers, first: doctorOptions, do: shown(examine, printText),
			page: "doctor", usage: "find what is wrong, say what to do, and mend it", example: "doctor --gate && systemctl reload postfix"},
		{words: "doctor --fix", waits: "mending", who: menders, locks: true, do: shown(mend, printText)},
		{words: "check-config", flags: fixFlags(), who: anywhere, first: fixOptions, do: shown(checkConfig, printNotes),
			page: "doctor", usage: "find outdated settings, and say what to write instead", example: "check-config --fix milter-protocol --dry-run"},
		{words: "check-config --fix", who: asRoot(anywhere, "change the configuration"), locks: true, do: shown(fixConfigs, printFixed)},
		{words: "test", operands: "ADDRESS", waits: "looking for the way", flags: flags{senderFlag(), waitFlag(), instanceFlag(), json}, who: senders, first: mailOptions,
			do: shown(testMail, printText), page: "test",
			usage: "send a message, and follow it to a mailbox, a mail server or the relay", example: "test somebody@example.org --wait 30s"},
		{words: "history", flags: flags{json}, who: past, do: shown(listHistory, printHistory),
			page: "history", usage: "list what our commands, dpkg and debconf changed", example: "history"},
		{words: "history show", operands: "NUMBER", flags: flags{json}, who: past, first: entryNumber, do: shown(showHistory, printPast),
			page: "history", usage: "show one change as a diff", example: "history show 12"},
	}
}

// changers are those that change what is nobody else's.
func changers() []row {
	keepers := asRoot(anywhere, "change the configuration")
	return []row{
		{words: "apply", flags: changing(), who: keepers, locks: true, do: shown(apply, printChanges),
			usage: "do the set-up with the answers in debconf's database", example: "apply --dry-run"},
		{words: "undo", operands: "[NUMBER]", flags: changing(), who: undoers, first: entryNumber, locks: true, do: shown(undo, printChanges),
			page: "history", usage: "take a change back, the newest one by itself; what was edited since stays", example: "undo 12 --dry-run"},
		{words: "sandbox", operands: "default|strict|status", flags: changing(), who: anywhere, first: sandboxOptions, locks: true, do: shown(chooseSandbox, printSandbox),
			usage:   "choose how tightly systemd confines the daemons: strict also reaches programs run for users from ~/.forward, aliases and pipe(8)",
			example: "sandbox strict"},
		{words: "dynamicmap", usage: "register a map type of a library of its own (pcre, lmdb and so on), or take it out again"},
		{words: "dynamicmap add", operands: "TYPE [BUILD-FUNCTION]", flags: mapFlags(), who: mapKeepers, first: mapType, locks: true, do: shown(onMaps(addMap), printMade),
			usage: "register a map type that is not registered yet", example: "dynamicmap add pcre"},
		{words: "dynamicmap remove", operands: "TYPE", flags: mapFlags(), who: mapKeepers, first: mapType, locks: true, do: shown(onMaps(removeMap), printMade),
			usage: "take out a map type of Debian's; another library's stays", example: "dynamicmap remove pcre"},
	}
}

func instanceRows() []row {
	keepers := asRoot(managers, "change the instances")
	lister := asRoot(managers, "list the instances with their mail")
	lister.instead = `: "postfix-maint status" shows what others may see`
	return []row{
		{words: "instance", page: "instance", usage: "make, list, enable, disable and remove Postfix instances"},
		{words: "instance list", flags: flags{jsonFlag()}, who: lister, do: shown(listInstances, printInstances), page: "instance",
			usage: "show all instances", example: "instance list"},
		{words: "instance create", operands: "NAME", waits: "making the instance", flags: changing(createFlags()...), who: keepers, first: createOptions, locks: true,
			do:   shown(onInstance(createInstance), printMade),
			page: "instance", usage: "make an instance, enable and start it",
			example: "instance create out --set inet_interfaces=192.0.2.25 --set master_service_disable="},
		{words: "instance enable", operands: "INSTANCE", waits: "starting the instance", flags: changing(), who: keepers, locks: true,
			do:   shown(onInstance(byName((*multi.Host).Enable)), printMade),
			page: "instance", usage: "start an instance, now and at boot", example: "instance enable out"},
		{words: "instance disable", operands: "INSTANCE", waits: "stopping the instance", flags: changing(), who: keepers, locks: true,
			do:   shown(onInstance(byName((*multi.Host).Disable)), printMade),
			page: "instance", usage: "stop an instance, and do not start it at boot", example: "instance disable out"},
		{words: "instance remove", operands: "INSTANCE", waits: "removing the instance", flags: changing(purgeQueueFlag()), who: keepers, locks: true, do: shown(onInstance(removeInstance), printMade),
			page: "instance", usage: "stop an instance and take away what is Postfix's of it", example: "instance remove out --dry-run"},
	}
}

func chrootRows() []row {
	json := jsonFlag()
	keepers := asRoot(anywhere, "change the chroots")
	return []row{
		{words: "chroot", page: "chroot", usage: "run the services chrooted or not, and keep the chroot right"},
		{words: "chroot status", operands: "[INSTANCE]", flags: flags{json}, who: anywhere, do: chroots(statusChroot, noSyslog, printStatus),
			page: "chroot", usage: "say which services run chrooted, and what each is led to", example: "chroot status"},
		{words: "chroot check", operands: "[INSTANCE]", waits: "looking into the chroots", flags: flags{json}, who: asRoot(anywhere, "look into the chroots"), do: chroots(checkChroot, checkSyslog, printCheck),
			page: "chroot", usage: "list what is missing, stale or not ours; exit status 1 if anything is missing, stale or out of a service's reach",
			example: "chroot check"},
		{words: "chroot sync", operands: "[INSTANCE]", waits: "refreshing the chroots", flags: changing(), who: keepers, locks: true,
			do:   chroots(syncChroot, syncAllSyslog, printChange),
			page: "chroot", usage: "bring the chroot up to date", example: "chroot sync --dry-run"},
		{words: "chroot on", operands: "[INSTANCE]", waits: "filling the chroots", flags: changing(), who: keepers, locks: true,
			do:   chroots(switchTo(true), syncAllSyslog, printChange),
			page: "chroot", usage: "run Postfix's services chrooted", example: "chroot on"},
		{words: "chroot off", operands: "[INSTANCE]", waits: "emptying the chroots", flags: changing(), who: keepers, locks: true,
			do:   chroots(switchTo(false), syncAllSyslog, printChange),
			page: "chroot", usage: "run no service chrooted, and take our files out of the queue directory", example: "chroot off --dry-run"},
	}
}

func relayRows() []row {
	json, inst := jsonFlag(), instanceFlag()
	keepers := asRoot(relayKeepers, "look after the smarthost")
	return append([]row{
		{words: "smarthost", page: "smarthost", usage: "send all mail through a relay: address, TLS, account, sender rewriting, root's mail"},
		{words: "smarthost set", flags: changing(append(setFlags(), inst)...), who: keepers, first: setOptions, locks: true,
			do: shown(changeSmarthost(setSmarthost), printChanges), page: "smarthost",
			usage:   "bring a smarthost into force; what is not named stays as the last set left it",
			example: "smarthost set --relay '[smtp.example.com]:587' --user me@example.com --password-file /root/password"},
		{words: "smarthost login", flags: changing(append(loginFlags(), inst)...), who: keepers, first: loginOptions(runLogin), locks: true,
			do: shown(changeSmarthost(loginSmarthost), printChanges), page: "smarthost",
			usage:   "log in at a provider by OAuth 2.0, and send all mail through its relay; once more for a login that was revoked",
			example: "smarthost login --provider microsoft --user me@example.com --client-id 00000000-0000-0000-0000-000000000000"},
		{words: "smarthost unset", flags: changing(inst), who: keepers, locks: true,
			do:   shown(changeSmarthost(unsetSmarthost), printChanges),
			page: "smarthost", usage: "go back to what was in force before the first set", example: "smarthost unset --dry-run"},
		{words: "smarthost show", flags: flags{inst, json}, who: keepers, do: shown(showSmarthost, printText), page: "smarthost",
			usage: "say what is in force", example: "smarthost show"},
		{words: "smarthost providers", operands: "[PROVIDER]", flags: flags{json}, who: who{secrets: true}, first: providerOperand, do: shown(listProviders, printProviders),
			page: "smarthost", usage: "list the relays that --provider knows by name, or say what is to be known of one", example: "smarthost providers google"},
		{words: "smarthost test", operands: "ADDRESS", waits: "waiting for the relay's answer", flags: flags{fromFlag(), waitFlag(), inst, json}, who: keepers, first: testOptions,
			do: shown(testSmarthost, printText), page: "smarthost",
			usage: "deliver a message through the relay and say how it went", example: "smarthost test somebody@example.org --wait 30s"},
	}, senderRows(keepers)...)
}

func packageRows() []row {
	return []row{
		{words: "adopt", operands: "[DEB]", waits: "writing the package", flags: adoptFlags(), who: anybody, first: adoptOptions, do: shown(adoptOne, printAdopted), page: "adopt",
			usage:   "write Debian's package postfix out again with this layer; without DEB the version that apt would install is fetched",
			example: "adopt --install --dry-run"},
		{words: "adopt --hand-over", who: anywhere, do: handOver},
		{words: "adopt --install", waits: "taking Postfix over", who: packagers, locks: true, do: shown(adopting(adopt.Host.Install), printAdoption)},
		{words: "adopt --revert", waits: "giving Postfix back", who: packagers, locks: true, do: shown(revert, printAdoption)},
		{words: "adopt --status", who: onHost, do: shown(adopting(adopt.Host.Status), printAdoptionStatus)},
		{words: "adopt --refresh", who: packagers, do: shown(refresh, printNothing)},
	}
}

func helpRows() []row {
	return []row{{words: "help", operands: "[COMMAND...]", who: anybody, do: showHelp,
		usage: "show what there is, or what one command takes", example: "help smarthost set"}}
}

// scriptRows are run by programs.
func scriptRows() []row {
	return []row{
		{words: "config", operands: "configure|reconfigure [VERSION]", who: scripts, do: script(config), usage: "ask the questions"},
		{words: "postinst", operands: "configure|triggered|abort-upgrade|abort-remove|abort-deconfigure [ARGUMENT...]", who: scripts,
			do: script(postinst), usage: "configure the package"},
		{words: "prerm", operands: "remove|upgrade|failed-upgrade|deconfigure [ARGUMENT...]", who: scripts,
			do: script(prerm), usage: "stop for a removal"},
		{words: "shelter", who: startScript, do: shelter, usage: "keep a Postfix that is started by hand from ending with what starts it"},
	}
}

package answers

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Row is all that there is to know of a question. Another one is a row more, and its words in debian/postfix.templates.
type Row struct {
	Question Question
	Priority string               // debconf's, as Debian's package asks it
	Local    string               // the priority for "Local only", where it is another one
	Login    string               // the priority with an account at the relay, where it is another one
	When     func(Situation) bool // whether it is asked; nil: always

	Param       string // of main.cf, that the answer is written into as it is
	Unset       string // the answer that means that main.cf does not have Param: Postfix's own default (postconf(5))
	BlankUnsets bool   // a blank takes Param out of main.cf

	relay  bool                              // about the relay: what it means is smarthost's
	secret bool                              // what is answered is noted nowhere
	needed bool                              // a blank says nothing, whoever preseeded it
	guess  func(Facts, Answers) string       // for a host that has no configuration; nil: a blank
	clean  func(value string) string         // see Clean; nil: no spaces or quotes around it
	same   func(a, b string) bool            // compares two clean values by their meaning; nil: as text
	check  func(string, Answers) (err error) // of a clean value; nil: any will do
}

// Situation is what decides whether a question is asked.
type Situation struct {
	Now      Answers
	Facts    Facts
	NewRelay bool // there is something to ask about the relay
}

// Rows are the questions in the order in which they are asked. It ends early where the type is "No configuration".
func Rows() []Row {
	table.once.Do(func() { table.rows = rows() })
	return table.rows
}

// table is made when it is used first: its functions use it themselves.
var table struct {
	once sync.Once
	rows []Row
}

func rows() []Row {
	return []Row{
		{Question: MailerType, Priority: "high", guess: guessType, clean: cleanType, same: strings.EqualFold, check: checkType},
		{Question: Mailname, Priority: "high", guess: guessMailname, same: strings.EqualFold, check: checkInsisted, needed: true},
		{Question: RelayProvider, Priority: "high", When: newRelay, relay: true, guess: always(OtherProvider), clean: cleanProvider, same: blankIs(OtherProvider),
			check: alone(checkRelayProvider)},
		{Question: RelayHost, Priority: "high", When: relays, Param: "relayhost", guess: guessRelay, same: strings.EqualFold, check: alone(checkRelay)},
		{Question: RelayAccount, Priority: "high", When: newRelay, relay: true, clean: strings.TrimSpace, check: alone(CheckAccount)},
		{Question: RelayPort, Priority: "high", When: lacksPort, relay: true, guess: guessPort, same: blankIs(smtpPort), check: checkRelayPort},
		{Question: RelayTLS, Priority: "medium", When: newRelay, relay: true, guess: always(ByPort), same: blankIs(ByPort), check: among(TLSWays)},
		{Question: RelayPassword, Priority: "high", When: hasAccount, secret: true, clean: func(password string) string { return password }},
		{Question: Rewriting, Priority: "medium", Login: "high", When: newRelay, relay: true, guess: always(NoRewriting), same: blankIs(NoRewriting),
			check: among(Rewritings)},
		{Question: SenderAddress, Priority: "high", When: rewrites(GenericMap), relay: true, guess: guessSender, check: checkSender},
		{Question: SenderMap, Priority: "high", When: rewrites(UserMap, RegexpMap, PCREMap), relay: true, clean: strings.TrimSpace, check: checkSenderMap},
		{Question: RootAddress, Priority: "medium", guess: func(f Facts, _ Answers) string { return f.FirstUser }, clean: oneLine, same: sameAddresses,
			check: members(addresses, checkRecipient)},
		{Question: Destinations, Priority: "medium", Local: "low", Param: "mydestination", Unset: "$myhostname, localhost.$mydomain, localhost",
			guess: guessDestinations, clean: oneLine, same: sameList, check: members(splitList, checkDestination)},
		{Question: Chattr, Priority: "medium", When: func(s Situation) bool { return s.Facts.Chattr }, guess: always("false"), same: sameBool, check: checkBool},
		{Question: MyNetworks, Priority: "low", Param: "mynetworks", BlankUnsets: true, // a blank: #160493
			guess: always(loopback), clean: oneLine, same: sameList, check: members(splitList, checkNetwork)},
		{Question: Procmail, Priority: "low", When: func(s Situation) bool { return s.Facts.Procmail }, guess: guessProcmail, same: sameBool, check: checkBool},
		{Question: MailboxLimit, Priority: "low", Param: "mailbox_size_limit", Unset: "51200000", guess: always("0"), same: sameNumber, check: checkBytes,
			needed: true},
		{Question: RecipientDelim, Priority: "low", Param: "recipient_delimiter", guess: always("+"), check: alone(checkDelimiter)},
		{Question: Protocols, Priority: "low", Param: "inet_protocols", Unset: "all", guess: guessProtocols, clean: cleanProtocols, check: checkProtocols,
			needed: true},
	}
}

// row is what the table has of a question; one that it lacks takes any answer.
func row(q Question) Row {
	for _, r := range Rows() {
		if r.Question == q {
			return r
		}
	}
	return Row{Question: q}
}

// questions are those of the rows that pick chooses, in their order.
func questions(pick func(Row) bool) (all []Question) {
	for _, r := range Rows() {
		if pick(r) {
			all = append(all, r.Question)
		}
	}
	return all
}

// Questions returns all questions in the order in which they are asked, but for that of the password: what is in them is noted on disk.
func Questions() []Question { return questions(func(r Row) bool { return !r.secret }) }

// RelayQuestions returns the questions about the relay, without the password, in the order in which they are asked.
func RelayQuestions() []Question { return questions(func(r Row) bool { return r.relay }) }

func relays(s Situation) bool {
	t, _ := s.Now.Type()
	return t.Relays()
}

func newRelay(s Situation) bool { return s.NewRelay }

func lacksPort(s Situation) bool { return s.NewRelay && !HasPort(s.Now[RelayHost].Value) }

func hasAccount(s Situation) bool { return s.NewRelay && s.Now[RelayAccount].Value != "" }

func rewrites(ways ...string) func(Situation) bool {
	return func(s Situation) bool { return s.NewRelay && slices.Contains(ways, s.Now[Rewriting].Value) }
}

func always(value string) func(Facts, Answers) string {
	return func(Facts, Answers) string { return value }
}

// blankIs compares values of which a blank means the usual one.
func blankIs(usual string) func(a, b string) bool {
	return func(a, b string) bool { return a == b || a == "" && b == usual || a == usual && b == "" }
}

// alone is a check that no other answer matters for.
func alone(check func(string) error) func(string, Answers) error {
	return func(value string, _ Answers) error { return check(value) }
}

// members checks each member of a list.
func members(split func(string) []string, check func(string) error) func(string, Answers) error {
	return func(value string, _ Answers) error { return each(split(value), check) }
}

// each finds the first member of a list that cannot be used.
func each(list []string, check func(string) error) error {
	for _, item := range list {
		if err := check(item); err != nil {
			return err
		}
	}
	return nil
}

func among(choices func() []string) func(string, Answers) error {
	return func(value string, _ Answers) error {
		if value != "" && !slices.Contains(choices(), value) {
			return fmt.Errorf("%q is none of %s", value, strings.Join(choices(), ", "))
		}
		return nil
	}
}

func checkType(value string, _ Answers) error {
	if _, ok := ParseType(value); ok {
		return nil
	}
	var names []string
	for _, t := range Types() {
		names = append(names, string(t))
	}
	return fmt.Errorf("%q is none of the types: %s", value, strings.Join(names, ", "))
}

// checkInsisted is checkMailname where nobody insists.
func checkInsisted(value string, a Answers) error {
	err := checkMailname(value)
	if kept := a[Mailname]; kept.Insisted && kept.Value == value && errors.Is(err, ErrRFC1035) {
		return nil
	}
	return err
}

func checkBool(value string, _ Answers) error {
	if value != "" && value != "true" && value != "false" {
		return fmt.Errorf("%q is neither true nor false", value)
	}
	return nil
}

func checkBytes(value string, _ Answers) error {
	if _, err := strconv.ParseUint(value, 10, 63); err != nil {
		return fmt.Errorf("%q is not a number of bytes (0 for no limit)", value)
	}
	return nil
}

func checkProtocols(value string, _ Answers) error {
	if _, ok := protocols(value); !ok {
		return fmt.Errorf("%q is none of all, ipv4, ipv6", value)
	}
	return nil
}

func checkSender(value string, a Answers) error {
	if value != "" || a[Rewriting].Value == GenericMap {
		return CheckAddress(value)
	}
	return nil
}

// checkSenderMap looks for any rule: what they say is for smarthost to read.
func checkSenderMap(value string, a Answers) error {
	if way := a[Rewriting].Value; value == "" && slices.Contains([]string{UserMap, RegexpMap, PCREMap}, way) {
		return errors.New("there is no sender to rewrite")
	}
	return nil
}

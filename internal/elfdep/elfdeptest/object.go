// Package elfdeptest (ring: port, for tests) makes ELF files that say what they need and hold nothing else.
package elfdeptest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// Object is a shared library to be made.
type Object struct {
	Machine elf.Machine // 0 means x86-64
	Needed  []string
	RPath   string
	RunPath string
	Interp  string // of a program: its dynamic loader
}

// Bytes gives the file: a header, a dynamic section with its strings, and the table of sections.
func (o Object) Bytes() []byte {
	if o.Machine == 0 {
		o.Machine = elf.EM_X86_64
	}
	var dyn bytes.Buffer
	strs := "\x00"
	add := func(tag elf.DynTag, text string) {
		_ = binary.Write(&dyn, binary.LittleEndian, elf.Dyn64{Tag: int64(tag), Val: uint64(len(strs))})
		strs += text + "\x00"
	}
	for _, n := range o.Needed {
		add(elf.DT_NEEDED, n)
	}
	if o.RPath != "" {
		add(elf.DT_RPATH, o.RPath)
	}
	if o.RunPath != "" {
		add(elf.DT_RUNPATH, o.RunPath)
	}
	dyn.Write(make([]byte, 16)) // DT_NULL
	const names = "\x00.dynamic\x00.dynstr\x00.shstrtab\x00"
	at := func(name string) uint32 { return uint32(strings.Index(names, name)) }
	const header, progs = 64, 56
	const head = header + progs
	dynOff, strOff := uint64(head), uint64(head+dyn.Len())
	interp := elf.Prog64{Type: uint32(elf.PT_NULL)}
	if o.Interp != "" {
		interp = elf.Prog64{Type: uint32(elf.PT_INTERP), Off: strOff + uint64(len(strs)), Filesz: uint64(len(o.Interp) + 1)}
		strs += o.Interp + "\x00"
	}
	nameOff := strOff + uint64(len(strs))
	sections := []elf.Section64{
		{},
		{Name: at(".dynamic"), Type: uint32(elf.SHT_DYNAMIC), Off: dynOff, Size: uint64(dyn.Len()), Link: 2, Entsize: 16},
		{Name: at(".dynstr"), Type: uint32(elf.SHT_STRTAB), Off: strOff, Size: uint64(len(strs))},
		{Name: at(".shstrtab"), Type: uint32(elf.SHT_STRTAB), Off: nameOff, Size: uint64(len(names))},
	}
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, elf.Header64{
		Ident:   [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_DYN),
		Machine: uint16(o.Machine), Version: uint32(elf.EV_CURRENT), Shoff: nameOff + uint64(len(names)),
		Phoff: header, Phentsize: progs, Phnum: 1, Ehsize: header, Shentsize: 64, Shnum: uint16(len(sections)), Shstrndx: 3,
	})
	_ = binary.Write(&out, binary.LittleEndian, interp)
	out.Write(dyn.Bytes())
	out.WriteString(strs + names)
	_ = binary.Write(&out, binary.LittleEndian, sections)
	return out.Bytes()
}

package sip

import (
	"strings"
	"testing"
)

func TestDecodeBody(t *testing.T) {
	parts := func(parts ...string) string {
		return "preamble\r\n--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	for _, test := range []struct {
		contentType, body string
		want              string
		ok                bool
	}{
		{"text/plain", "grüß dich 👋", "grüß dich 👋", true},
		{"TEXT/Plain ; Charset=\"UTF-8\"", "grüß", "grüß", true},
		{"text/plain;charset=utf-8;format=flowed", "grüß", "grüß", true},
		{"text/plain", "gr\xfc\xdf", "gr\uFFFD", true},
		{"text/plain;charset=us-ascii", "hello", "hello", true},
		{"text/plain;charset=ISO-8859-1", "gr\xfc\xdf", "grüß", true},
		{"text/plain;charset=windows-1251", "\xcf\xf0\xe8", "При", true},
		{"text/plain;charset=koi8-r", "\xf0\xd2\xc9", "При", true},
		{"text/plain;charset=shift_jis", "\x93\xfa\x96\x7b", "日本", true},
		{"text/plain;charset=gb18030", "\xd6\xd0", "中", true},
		{"text/plain;charset=utf-16", "\x00h\x00i", "hi", true},
		{"text/plain;charset=utf-16", "\xff\xfeh\x00i\x00", "hi", true},
		{"text/plain;charset=utf-16be", "\x00h\x00i", "hi", true},
		{"text/plain;charset=utf-16le", "h\x00i\x00", "hi", true},
		{"text/plain;charset=iso-2022-kr", "hello", "", false},
		{"text/plain;charset=klingon", "hello", "", false},
		{"text/html", "<b>hello</b>", "", false},
		{"message/cpim", "From: x", "", false},
		{"text/plain;charset", "hello", "", false},
		{"", "hello", "", false},
		{"multipart/mixed;boundary=b", parts("Content-Type: text/plain; charset=iso-8859-1\r\n\r\ngr\xfc\xdf"), "grüß", true},
		{"multipart/mixed;boundary=b", parts("Content-Type: image/png\r\n\r\nxx", "Content-Type: text/plain\r\n\r\nhello"), "hello", true},
		{"multipart/mixed;boundary=b", parts("\r\nhello"), "hello", true},
		{"multipart/mixed;boundary=b", parts("Content-Transfer-Encoding: base64\r\n\r\naGk=", "\r\nhello"), "hi", true},
		{"multipart/mixed;boundary=b", parts("Content-Transfer-Encoding: rot13\r\n\r\nuv", "\r\nhello"), "hello", true},
		{"message/cpim", cpimHead + "\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ngr\xfc\xdf", "grüß", true},
		{"message/cpim", strings.ReplaceAll(cpimHead+"\r\nContent-Type: text/plain\r\n\r\nhello", "\r\n", "\n"), "hello", true},
		{"message/cpim", cpimHead + "\r\n\r\nhello", "hello", true},
		{"message/cpim", cpimHead + "\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n", "hi", true},
		{"message/cpim", cpimHead + "\r\nContent-Type: text/html\r\n\r\n<b>", "", false},
		{"message/cpim", cpimHead + "\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" + parts("\r\nhello"), "hello", true},
		{"message/cpim", cpimHead, "", false},
		{"message/cpim", "hello\r\n\r\n\r\nhello", "", false},
		{"message/cpim", "X-Field: x\r\n\r\n\r\nhello", "", false},
		{"message/cpim", strings.Repeat("X: y\r\n", 100) + cpimHead + "\r\n\r\nhello", "", false},
		{"message/cpim", strings.Repeat(cpimHead+"\r\nContent-Type: message/cpim\r\n\r\n", 2) + cpimHead + "\r\n\r\nhello", "hello", false},
		{"multipart/mixed;boundary=b", parts("Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BC=C3=9F"), "grüß", true},
		{"multipart/mixed;boundary=b", parts("Content-Type: image/png\r\n\r\nxx"), "", false},
		{"multipart/mixed;boundary=b", "--b\r\n\r\nno end", "", false},
		{"multipart/mixed", parts("\r\nhello"), "", false},
	} {
		got, ok := decodeBody(test.contentType, []byte(test.body))
		if got.text != test.want && ok || ok != test.ok {
			t.Errorf("%s %q: %q, %v; want %q, %v", test.contentType, test.body, got.text, ok, test.want, test.ok)
		}
	}
}

#!/usr/bin/env python3
"""Records what Chromium sends for the forms below, into browser.json beside this file.

    python3 tests/forms/record.py            # wants `chromium` on the PATH

Each case is a page, what a person does on it, and the request that came. Nothing leaves 127.0.0.1.
"""
import base64, http.server, json, pathlib, re, shutil, subprocess, tempfile, threading, urllib.parse

HERE = pathlib.Path(__file__).parent

# (name, charset, page, what is done)
CASES = [
    ("text inputs", "utf-8", "<form action=/r><input name=a value='1 2'><input name=b><input value=unnamed><input name='' value=x></form>", []),
    ("get replaces the query and keeps the fragment out", "utf-8", "<form action='/r?old=1#frag'><input name=a value='&=+%~*-._é'></form>", []),
    ("post keeps the query", "utf-8", "<form method=post action='/r?old=1'><input name=a value=1></form>", []),
    ("empty form by get", "utf-8", "<form action='/r?x=1'></form>", [["script"]]),
    ("empty form by post", "utf-8", "<form action=/r method=POST></form>", [["script"]]),
    ("unknown method and enctype", "utf-8", "<form action=/r method=put enctype=json><input name=a value=1></form>", []),
    ("set a text and a password", "utf-8", "<form action=/r method=post><input name=u><input type=password name=p></form>", [["set", "u", "ada"], ["set", "p", "p&q=r s+t"]]),
    ("hidden inputs", "utf-8", "<form action=/r method=post><input type=hidden name=csrf value='t0k\nen'><input type=hidden name=e></form>", []),
    ("checkboxes", "utf-8", "<form action=/r><input type=checkbox name=a checked><input type=checkbox name=b value=1><input type=checkbox name=c value='' checked><input type=checkbox name=d value=2></form>", [["check", "d"]]),
    ("several checkboxes of one name", "utf-8", "<form action=/r><input type=checkbox name=a value=1 checked><input type=checkbox name=a value=2><input type=checkbox name=a value=3></form>", [["choose", "a", "3"]]),
    ("radio buttons, the last checked stands", "utf-8", "<form action=/r><input type=radio name=a value=1 checked><input type=radio name=a value=2 checked><input type=radio name=b value=1><input type=radio name=c checked></form>", []),
    ("choose a radio button", "utf-8", "<form action=/r><input type=radio name=a value=1 checked><input type=radio name=a value=2></form>", [["choose", "a", "2"]]),
    ("selects", "utf-8", "<form action=/r><select name=a><option>1<option>2</select><select name=b><option value=x>1<option selected> y  z </select><select name=c multiple><option>1<option selected>2<option selected>3</select><select name=d></select><select name=e size=3><option>1</select></form>", []),
    ("selects with disabled options", "utf-8", "<form action=/r><select name=a><option disabled>1<option>2</select><select name=b><optgroup disabled><option>1</optgroup><optgroup label=x><option>2</optgroup></select><select name=c><option selected disabled>1<option>2</select><select name=d><option disabled>1</select><select name=e><option selected>1<option selected>2<option>3</select></form>", []),
    ("choose options", "utf-8", "<form action=/r><select name=a><option>1<option value=2>two</select><select name=b multiple><option selected>1<option>2</select></form>", [["choose", "a", "2"], ["choose", "b", "2"]]),
    ("option with a label and markup", "utf-8", "<form action=/r><select name=a><option label=L>text</option></select><select name=b><option value>empty</option></select></form>", []),
    ("text areas", "utf-8", "<form action=/r method=post><textarea name=a>\nline 1\nline 2\r\n</textarea><textarea name=b></textarea><textarea name=c>\n\nx</textarea></form>", [["set", "b", "one\ntwo\r\nthree"]]),
    ("newlines in values become CR LF", "utf-8", "<form action=/r method=post><input type=hidden name='a\nb' value='1&#13;2&#10;3&#13;&#10;4'></form>", []),
    ("text loses its line ends", "utf-8", "<form action=/r><input name=a value='1&#10;2'><input type=search name=b value='&#13;x'></form>", []),
    ("disabled controls", "utf-8", "<form action=/r><input name=a value=1 disabled><select name=b disabled><option>1</select><textarea name=c disabled>x</textarea><input name=d value=1 readonly></form>", []),
    ("disabled fieldset and its legend", "utf-8", "<form action=/r><fieldset disabled><legend><input name=a value=1></legend><legend><input name=b value=1></legend><input name=c value=1><fieldset><input name=d value=1></fieldset></fieldset><fieldset><input name=e value=1></fieldset></form>", []),
    ("disabled fieldset within a legend", "utf-8", "<form action=/r><fieldset disabled><legend><fieldset disabled><input name=a value=1></fieldset><input name=b value=1></legend></fieldset></form>", [["script"]]),
    ("datalist and template", "utf-8", "<form action=/r><input name=a value=1 list=l><datalist id=l><input name=b value=1><select name=s><option>1</select></datalist><template><input name=c value=1></template></form>", []),
    ("the first submit button", "utf-8", "<form action=/r><input name=a value=1><button type=button name=no value=1>x</button><input type=submit name=s value=one><button name=t value=two>x</button></form>", []),
    ("another submit button", "utf-8", "<form action=/r><input type=submit name=s value=one><button id=two name=t value=two>x</button></form>", [["click", "#two"]]),
    ("a submit button without a value", "utf-8", "<form action=/r><input type=submit name=s></form>", []),
    ("a button element without a value", "utf-8", "<form action=/r><button name=s>label</button></form>", []),
    ("sent by a script", "utf-8", "<form action=/r><input name=a value=1><input type=submit name=s value=one></form>", [["script"]]),
    ("formaction, formmethod, formenctype", "utf-8", "<form action=/no><input name=a value=1><button formaction='/r?q' formmethod=post formenctype=multipart/form-data name=b value=2>x</button></form>", []),
    ("an unknown formmethod is get", "utf-8", "<form action=/r method=post><input name=a value=1><button formmethod=put>x</button></form>", []),
    ("an image button", "utf-8", "<form action=/r><input name=a value=1><input type=image name=i value=v></form>", []),
    ("an image button without a name", "utf-8", "<form action=/r><input name=a value=1><input type=image></form>", []),
    ("controls elsewhere by form=", "utf-8", "<input name=a value=1 form=f><form id=f action=/r><input name=b value=1><input name=c value=1 form=other><input name=d value=1 form></form><form id=other></form><button form=f name=s value=1>x</button>", [["form", "#f"]]),
    ("an id that is another element's", "utf-8", "<p id=f></p><input name=a value=1 form=f><form id=f action=/r class=it><input name=b value=1></form>", [["form", ".it"]]),
    ("a form between the rows of a table", "utf-8", "<table><form action=/r><tr><td><input name=a value=1></td></tr><tr><td><input name=b value=2></form></td></tr></table>", []),
    ("a form within a row of a table", "utf-8", "<table><tr><form action=/r><td><input name=a value=1></td><td><input type=submit name=s value=1></td></form></tr></table>", []),
    ("nested forms", "utf-8", "<form action=/r><input name=a value=1><form action=/no><input name=b value=1></form><input name=c value=1>", []),
    ("multipart", "utf-8", "<form action=/r method=post enctype=multipart/form-data><input name='a\"b' value='é\"\n'><input type=hidden name='c\r\nd%22' value='1&#10;2'><textarea name=t>x\ny</textarea></form>", []),
    ("multipart with files", "utf-8", "<form action=/r method=post enctype=multipart/form-data><input type=file name=f><input type=file name=g multiple><input type=file name=none></form>", [["file", "f", "a \"q\" é.txt", "text/plain", "one\ntwo\r\n"], ["file", "g", "1.bin", "", "x"], ["file", "g", "2.png", "image/png", "y"]]),
    ("files outside of multipart", "utf-8", "<form action=/r method=post><input type=file name=f><input type=file name=none></form>", [["file", "f", "a.txt", "text/plain", "one"]]),
    ("text/plain", "utf-8", "<form action=/r method=post enctype=text/plain><input name=a value='x=y&z é'><textarea name=b>1\n2</textarea><input type=file name=f></form>", []),
    ("windows-1251 page", "windows-1251", "<form action=/r method=post><input name=имя value='Привет € é 一'><input type=hidden name=_charset_></form>", []),
    ("windows-1251 page by get", "windows-1251", "<form action=/r><input name=q value='Привет'></form>", []),
    ("shift_jis page, multipart", "shift_jis", "<form action=/r method=post enctype=multipart/form-data><input name=名 value='日本語 €'><input type=file name=f></form>", [["file", "f", "日本 é.txt", "text/plain", "x"]]),
    ("iso-2022-jp page", "iso-2022-jp", "<form action=/r method=post><input name=q value='日本a語'></form>", []),
    ("gb18030 page", "gb18030", "<form action=/r><input name=q value='中文€é'></form>", []),
    ("accept-charset", "utf-8", "<form action=/r method=post accept-charset='nonsense iso-8859-1 utf-8'><input name=a value='é€'><input type=hidden name=_charset_ value=x><input type=text name=_charset_ value=y></form>", []),
    ("accept-charset of nothing known", "windows-1251", "<form action=/r accept-charset=nonsense><input name=a value='П'></form>", []),
    ("utf-16 page", "utf-16le", "<form action=/r><input name=a value='é'></form>", []),
    ("dates, numbers and colours", "utf-8", "<form action=/r><input type=date name=a value=2024-02-30><input type=date name=b value=2024-02-29><input type=month name=c value=2024-13><input type=week name=d value=2020-W53><input type=week name=e value=2021-W53><input type=time name=f value=10:00:00><input type=datetime-local name=g value='2024-01-01 10:00:00.5'><input type=number name=h value=1.><input type=number name=i value=-.5e3><input type=color name=j value=#FFaa00><input type=color name=k><input type=color name=l value='#ffaa00'></form>", []),
    ("ranges", "utf-8", "<form action=/r><input type=range name=a><input type=range name=b value=7.5><input type=range name=c min=1 max=10 step=4 value=10><input type=range name=d min=10 max=1 value=5><input type=range name=e step=any value=7.5><input type=range name=f min=0 max=1 step=0.25 value=0.3><input type=range name=g max=1 step=.1 value=.3></form>", []),
    ("addresses", "utf-8", "<form action=/r><input type=email name=a value=' a@b '><input type=email multiple name=b value=' a@b , c@d '><input type=url name=c value=' http://e.org/ '><input type=tel name=d value=' 1 '></form>", [["script"]]),
    ("dirname", "utf-8", "<form action=/r dir=rtl><input name=a value=1 dirname=a.dir><p dir=ltr><textarea name=b dirname=b.dir>x</textarea></p><input type=checkbox name=c checked dirname=c.dir></form>", []),
    ("reset, button and object", "utf-8", "<form action=/r><input type=reset name=a value=1><input type=button name=b value=1><button type=reset name=c value=1>x</button><output name=d>1</output><object name=e></object><meter name=f value=1></meter><input name=z value=1></form>", []),
    ("names that are numbers of a list", "utf-8", "<form action=/r><input name='a[]' value=1><input name='a[]' value=2><input name='b[x][y]' value=3></form>", []),
    ("no action", "utf-8", "<base href=/no/><form><input name=a value=1></form>", []),
    ("an action relative to the base", "utf-8", "<base href=/deep/er/><form action='../r?x'><input name=a value=1></form>", []),
    ("a command button does not send", "utf-8", "<form action=/r><button command=show-modal commandfor=d name=no value=1>x</button><button name=s value=1>x</button></form><dialog id=d></dialog>", []),
    ("a disabled first button", "utf-8", "<form action=/r><button disabled name=no value=1>x</button><button name=s value=1>x</button></form>", []),
    ("a control within a label within a list", "utf-8", "<form action=/r><ul><li><label>A <input name=a value=1></label><li><details><summary>x</summary><input name=b value=2></details></ul></form>", []),
    ("colours of CSS", "utf-8", "<form action=/r><input type=color name=c value='rgb(255 0 0)'><input type=color alpha colorspace=display-p3 name=a value='rgb(255 0 0)'><input type=color name=c value='rgba(1,2,3,.5)'><input type=color alpha colorspace=display-p3 name=a value='rgba(1,2,3,.5)'><input type=color name=c value='rgb(1 2 3 / 50%)'><input type=color alpha colorspace=display-p3 name=a value='rgb(1 2 3 / 50%)'><input type=color name=c value='rgb(300 -5 12.5)'><input type=color alpha colorspace=display-p3 name=a value='rgb(300 -5 12.5)'><input type=color name=c value='rgb(1 2% 3)'><input type=color alpha colorspace=display-p3 name=a value='rgb(1 2% 3)'><input type=color name=c value='rgb(1,2%,3)'><input type=color alpha colorspace=display-p3 name=a value='rgb(1,2%,3)'><input type=color name=c value='rgb(1 2 3'><input type=color alpha colorspace=display-p3 name=a value='rgb(1 2 3'><input type=color name=c value='rgb(1 2 3 4)'><input type=color alpha colorspace=display-p3 name=a value='rgb(1 2 3 4)'><input type=color name=c value='hsl(0.5turn 50% 50% / .3)'><input type=color alpha colorspace=display-p3 name=a value='hsl(0.5turn 50% 50% / .3)'><input type=color name=c value='hsl(120,100%,150%)'><input type=color alpha colorspace=display-p3 name=a value='hsl(120,100%,150%)'><input type=color name=c value='hwb(90 10% 20%)'><input type=color alpha colorspace=display-p3 name=a value='hwb(90 10% 20%)'><input type=color name=c value='lab(50% 40 59.5)'><input type=color alpha colorspace=display-p3 name=a value='lab(50% 40 59.5)'><input type=color name=c value='lch(52.2% 72.2 50)'><input type=color alpha colorspace=display-p3 name=a value='lch(52.2% 72.2 50)'><input type=color name=c value='oklab(40.1% 0.1143 0.045)'><input type=color alpha colorspace=display-p3 name=a value='oklab(40.1% 0.1143 0.045)'><input type=color name=c value='oklch(70% 0.4 150)'><input type=color alpha colorspace=display-p3 name=a value='oklch(70% 0.4 150)'><input type=color name=c value='color(srgb none 1 50%)'><input type=color alpha colorspace=display-p3 name=a value='color(srgb none 1 50%)'><input type=color name=c value='color(display-p3 0.25 0.5 0.75 / 0.5)'><input type=color alpha colorspace=display-p3 name=a value='color(display-p3 0.25 0.5 0.75 / 0.5)'><input type=color name=c value='color(rec2020 0.25 0.5 0.75)'><input type=color alpha colorspace=display-p3 name=a value='color(rec2020 0.25 0.5 0.75)'><input type=color name=c value='color(a98-rgb 0.25 0.6 0.75)'><input type=color alpha colorspace=display-p3 name=a value='color(a98-rgb 0.25 0.6 0.75)'><input type=color name=c value='color(prophoto-rgb 0.25 0.5 0.75)'><input type=color alpha colorspace=display-p3 name=a value='color(prophoto-rgb 0.25 0.5 0.75)'><input type=color name=c value='color(xyz 0.3 0.3 0.3)'><input type=color alpha colorspace=display-p3 name=a value='color(xyz 0.3 0.3 0.3)'><input type=color name=c value='color(xyz-d50 0.3 0.3 0.3)'><input type=color alpha colorspace=display-p3 name=a value='color(xyz-d50 0.3 0.3 0.3)'><input type=color name=c value='color(foo 1 1 1)'><input type=color alpha colorspace=display-p3 name=a value='color(foo 1 1 1)'><input type=color name=c value='color-mix(in srgb, red, blue)'><input type=color alpha colorspace=display-p3 name=a value='color-mix(in srgb, red, blue)'></form>", []),
    # Where exactly a line of a browser ends depends on its fonts; these end where they have twenty characters.
    ("hard wraps", "utf-8", '<form action=/r method=post><textarea wrap=HARD name=t>\none two three four five six seven eight nine ten</textarea><textarea wrap=hard cols=0 name=z>\none two three four five six seven eight nine ten</textarea><textarea wrap=HARD name=t>\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbb</textarea><textarea wrap=hard cols=0 name=z>\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbb</textarea><textarea wrap=HARD name=t>\n1234567890123456789 xyz</textarea><textarea wrap=hard cols=0 name=z>\n1234567890123456789 xyz</textarea><textarea wrap=HARD name=t>\na\nb c d e f g h i j k l m n</textarea><textarea wrap=hard cols=0 name=z>\na\nb c d e f g h i j k l m n</textarea><textarea wrap=HARD name=t>\n12345678901234567890\nx</textarea><textarea wrap=hard cols=0 name=z>\n12345678901234567890\nx</textarea><textarea wrap=HARD name=t>\nhyphen-ated word-by-word</textarea><textarea wrap=hard cols=0 name=z>\nhyphen-ated word-by-word</textarea><textarea wrap=HARD name=t>\n  leading and     multiple      spaces   here  </textarea><textarea wrap=hard cols=0 name=z>\n  leading and     multiple      spaces   here  </textarea><textarea wrap=HARD name=t>\ntrailing words fit here ok    </textarea><textarea wrap=hard cols=0 name=z>\ntrailing words fit here ok    </textarea><textarea wrap=HARD name=t>\n</textarea><textarea wrap=hard cols=0 name=z>\n</textarea><textarea wrap=soft cols=5 name=s>one two three</textarea><textarea wrap=off cols=5 name=o>one two three</textarea><textarea wrap=hard name=set></textarea></form>', [["set", "set", "one two three four five"]]),
]

# What a person does, in the page.
SCRIPT = r"""
(() => {
  const ops = OPS, next = 'NEXT';
  setTimeout(() => location = next, 1500);
  const chosen = ops.find(op => op[0] == 'form');
  const form = document.querySelector(chosen ? chosen[1] : 'form');
  const named = (name, test) => [...form.elements, ...form.querySelectorAll('input[type=image]')].filter(e => e.name == name && test(e));
  let button = [...form.elements, ...form.querySelectorAll('input[type=image]')].find(e =>
    !e.disabled && ((e.localName == 'button' && e.type == 'submit' && !e.hasAttribute('command')) || (e.localName == 'input' && (e.type == 'submit' || e.type == 'image'))));
  for (const [op, name, value, type, content] of ops) {
    if (op == 'set') named(name, e => true)[0].value = value;
    if (op == 'check') named(name, e => e.type == 'checkbox')[0].checked = true;
    if (op == 'choose') for (const e of named(name, e => true)) {
      if (e.localName == 'select') { for (const o of e.options) if (o.value == value) o.selected = true; }
      else if (e.value == value) e.checked = true;
    }
    if (op == 'file') {
      const e = named(name, e => e.type == 'file')[0], data = new DataTransfer();
      if (e.multiple) for (const f of e.files) data.items.add(f);
      data.items.add(new File([content], value, {type}));
      e.files = data.files;
    }
    if (op == 'click') button = document.querySelector(name);
    if (op == 'script') button = null;
  }
  form.noValidate = true;
  if (button) button.click(); else form.submit();
})();
"""

recorded = {}
done = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def page(self, number):
        name, charset, html, ops = CASES[number]
        ops = [[op[0]] + op[1:] for op in ops]
        script = SCRIPT.replace("OPS", json.dumps(ops)).replace("NEXT", f"/case/{number + 1}")
        html = "<!doctype html>" + html + "<script>" + script + "</script>"
        body = html.encode(charset, "xmlcharrefreplace") if charset != "utf-16le" else html.encode("utf-16le")
        self.answer(f"text/html; charset={charset}", body)

    def answer(self, kind, body, status=200):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        case = re.fullmatch(r"/case/(\d+)", self.path)
        if case and int(case[1]) < len(CASES):
            return self.page(int(case[1]))
        if case:
            self.answer("text/html", b"done")
            done.set()
            return None
        return self.record(b"")

    def do_POST(self):
        return self.record(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def record(self, body):
        page = re.search(r"/case/(\d+)", self.headers.get("referer") or "")
        if not page or self.path == "/favicon.ico":
            return self.answer("text/plain", b"", 404)
        number = int(page[1])
        kind = self.headers.get("content-type")
        boundary = re.search(r"boundary=(\S+)", kind or "")
        if boundary:
            body = body.replace(boundary[1].encode(), b"BOUNDARY")
            kind = kind.replace(boundary[1], "BOUNDARY")
        recorded.setdefault(number, {"method": self.command, "target": self.path, "content_type": kind, "body": base64.b64encode(body).decode()})
        return self.answer("text/html", f"<script>location='/case/{number + 1}'</script>".encode())


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    start = f"http://127.0.0.1:{server.server_address[1]}/case/0"
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--lang=en-US", f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        browser = subprocess.Popen([shutil.which("chromium"), *flags, start], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        finished = done.wait(120)
        browser.terminate()
        browser.wait()
    cases = []
    for number, (name, charset, html, ops) in enumerate(CASES):
        if number not in recorded:
            print("no request:", name)
        cases.append({"name": name, "charset": charset, "html": html, "does": ops, "sends": recorded.get(number)})
    (HERE / "browser.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")
    print(len(recorded), "of", len(CASES), "finished" if finished else "NOT finished")


if __name__ == "__main__":
    main()

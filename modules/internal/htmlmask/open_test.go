// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"strings"
	"testing"
)

// Browsers ignore an end tag where something else is open that it does not reach
// across: what follows is in the masked element still.
func TestEndTagsThatBrowsersIgnore(t *testing.T) {
	for _, in := range []string{
		"<b id=phone><table></b>secret</table></b>",
		"<span id=phone><div></span>secret</div></span>",
		"<span id=phone><p>1</span>secret</span>",
		"<p class=pan><button></p>secret</button></p>",
		"<p class=pan><select></p>secret</select></p>",
		"<li class=pan><ul></li>secret</ul></li>",
		"<table><tr><td class=phone><table></td>secret</table></td></tr></table>",
		"<div class=pan>x<div><table></div>y</table></div>secret</div>",
		"<form id=phone><i></form>secret</i></form>",
		"<b id=phone><svg><foreignObject><p></b>secret</p></foreignObject></svg></b>",
		"<p class=pan><optgroup><pre class=pan></p>secret</pre>",
		"<math><mrow><input class=pan>secret</mrow></math>",
		"<annotation-xml class=pan><details></annotation-xml>secret</details></annotation-xml>",
		"<body id=phone>x</body>secret",
		"<svg><desc class=pan><path></desc>secret</path></desc></svg>",
		"<b id=phone><svg><desc><x></desc></svg></b>secret",
		"<b id=phone><svg><desc><p/></desc></svg></b>secret",
		"<h1 id=phone><h2></h1>secret</h2>",
		"<b id=phone><p><b>x</p></b>secret</b>",
		"<b id=phone><section><b>x</section>y</b>secret</b>",
		"<span id=phone><form><span>x</form></span>secret</span>",
		"<span id=phone><td><span>x</td></span>secret</span>",
		"<span id=phone><p>a<div><span>x</p></span>secret</span>",
		"<span id=phone><p>a<div>x</p></span>secret</div></span>",
		"<span id=phone><li>a<li>b</li><div>x</li></span>secret</div></span>",
		"<span id=phone><h1>a<h2>b</h2><div>x</h1></span>secret</div></span>",
	} {
		if got, _, err := run(in, nil); err != nil || strings.Contains(got, "secret") {
			t.Errorf("%s\n%s, %v: what browsers show within a masked element is shown", in, got, err)
		}
	}
	for _, in := range []string{
		"<select><title></select><p id=phone>secret</p></title>",
		"<svg></math><title><p id=phone>secret</p></title></svg>",
		"<svg><title id=phone><p></title>secret</p></title></svg>",
		"<b id=phone><svg><title><p></title></svg></b>secret</p></title></svg></b>",
		"<svg><g class=pan><title><p></title></g>secret</p></title></g></svg>",
		"<svg><foreignObject><div></svg></div></foreignObject><title><p id=phone>secret</p></title></svg>",
		"<b id=phone><svg><![CDATA[ x</svg></b>]]></svg>secret</b>",
		"<svg class=pan><![CDATA[<p></p></svg>]]>secret</svg>",
		"<svg><![CDATA[></svg><textarea>]]><b id=phone>secret</b></svg></textarea>",
		"<math><mi><![CDATA[<a><b title=']]><b id=phone>secret</b>'></mi></math>",
	} {
		if got, _, err := run(in, nil); err == nil {
			t.Errorf("%s\n%s: tags that only browsers see go through", in, got)
		}
	}
	for _, in := range []string{
		"<td class=phone><p>98<ul><li>7</td>shown",
		"<div class=pan><p>x<b>y</div>shown",
		"<td class=phone><table><tr><td>x</table></td>shown",
		"<b id=phone><i>x</b>shown",
		"<li class=pan><p>x<br></li>shown",
		"<div class=pan><ul><li><p>x</li><li>y</ul><table><tr><td><p>z<td></table><section><p>x</section></div>shown",
		"<span class=pan><section><div>x</section></span>shown",
		"<b id=phone><p><b>x</b></p></b>shown",
		"<div class=pan><table><tr><td><div>x</td></tr></table></div>shown",
		"<div class=pan><section><div>x</section></div>shown",
		"<li class=pan><p>a<ul><li>b<li><p>c</ul></li>shown",
		"<div class=pan><table><tr><td>x</td></tr></table><ul><li>y</ul><svg><path/></svg></div>shown",
		"<b id=phone>x<svg><g><path/><path></g></svg></b>shown",
		"<svg><g class=pan><path></g></svg><p>shown",
		"<p><![CDATA[x</p>]]><svg><desc><![CDATA[x]]></desc></svg><b id=phone><svg><![CDATA[]]></svg></b>shown",
		"<svg><title>x</title><g><path/></g></svg><script>if (a<b) go()</script><p>shown",
		"<select><option>a<option>b</select><title>a<b</title>shown",
	} {
		if got, _, err := run(in, nil); err != nil || !strings.HasSuffix(got, "shown") {
			t.Errorf("%s\n%s, %v: an element ends, and what is behind it is masked", in, got, err)
		}
	}
	deep := "<div class=pan>" + strings.Repeat("<div>", 3*maxNested) + strings.Repeat("</div>", 3*maxNested+1) + "secret"
	if got, _, err := run(deep, nil); err != nil || strings.Contains(got, "secret") {
		t.Errorf("%.100s, %v: where nobody counts any more nothing is masked any more", got, err)
	}
}

// Says which moment the slider stands at while it is moved; without this the
// page says so once it was sent.
"use strict";
const moment = document.getElementById("moment");
const output = document.getElementById("moment-at");
if (moment && output) {
  moment.addEventListener("input", () => {
    const at = new Date(Number(moment.value) * 1000).toISOString();
    output.textContent = at.slice(0, 10) + " " + at.slice(11, 16) + " UTC";
    moment.setAttribute("aria-valuetext", output.textContent);
  });
}

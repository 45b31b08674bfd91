// What the page holds: JSON elements, and arrays in them as base64.
const NUMBERS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array };
const read = (id) => JSON.parse(document.getElementById(id).textContent);

function bytes(base64) {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
  return found;
}

// An array of whole numbers, or of numbers in 65,536 steps.
function unpack(one) {
  const steps = new NUMBERS[one.type](bytes(one.base64).buffer);
  if (one.low === undefined) return steps;
  const values = new Float32Array(steps.length);
  for (let i = 0; i < steps.length; i++) {
    const value = one.low + (steps[i] / 65535) * (one.high - one.low);
    values[i] = one.log ? Math.exp(value) : value;
  }
  return values;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && name !== "list") element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const signed = (number, digits) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(digits);
const grouped = (number) => number.toLocaleString("en-US", { maximumFractionDigits: 3 });
const short = (number) => number >= 1e6 ? `${+(number / 1e6).toPrecision(3)} M` : number >= 1e4 ? `${+(number / 1e3).toPrecision(3)} k` : grouped(number);

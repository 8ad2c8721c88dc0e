// The arguments come as one JSON object on standard input; what is printed is the result.
const { numbers } = JSON.parse(require("fs").readFileSync(0, "utf8"));

if (numbers.length === 0) {
  console.error("there is nothing to add up");
  process.exit(1); // the caller gets 500, with what was printed to standard error
}
console.log(JSON.stringify({ sum: numbers.reduce((a, b) => a + b), by: `node ${process.version}` }));

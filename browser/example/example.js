import {mint} from "../plugbay.js";

const form = document.querySelector("form");
const [token, answer] = document.querySelectorAll("output");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  token.value = answer.value = "…";
  try {
    await call(Object.fromEntries(new FormData(form)));
  } catch (error) {
    answer.value = String(error);
  }
});

async function call({url, tenant, key, method, api, body}) {
  const address = `${url.replace(/\/+$/, "")}/rest/services/${tenant}/${api.replace(/^\/+/, "")}`;
  const made = await mint({tenant, key, method, url: address});
  token.value = made;
  const request = {method, headers: {Authorization: `Token ${made}`}};
  if (method !== "GET" && body) {
    request.body = body;
    request.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(address, request);
  answer.value = `${response.status}\n${await response.text()}`;
}

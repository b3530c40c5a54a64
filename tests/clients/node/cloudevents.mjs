// Sends one event in each mode of the official CloudEvents SDK and prints the answers as JSON.
import { CloudEvent, HTTP, Mode, emitterFor, httpTransport } from "cloudevents";

const { PORTAL, KEY, TYPE } = process.env;
const attributes = { source: "/node", type: TYPE, subject: "blåbär", partitionkey: "p 1" };
const event = new CloudEvent({ ...attributes, data: { revenue: 1.5, note: "Grüße ✓" } });
const answers = [];

async function send(message) {
  const headers = { ...message.headers, authorization: `Bearer ${KEY}` };
  const answer = await fetch(`${PORTAL}/v1/events`, { method: "POST", headers, body: message.body });
  answers.push({ status: answer.status, ...(await answer.json()) });
}

for (const message of [HTTP.binary(event), HTTP.structured(event)]) await send(message);
const others = [1, 2].map((number) => new CloudEvent({ ...attributes, data: { revenue: number } }));
await send({
  headers: { "content-type": "application/cloudevents-batch+json" },
  body: JSON.stringify([event, ...others]),
});
// The SDK's own transport, which takes no headers but those of an event.
const emit = emitterFor(httpTransport(`${PORTAL}/v1/events`), { mode: Mode.BINARY });
const bare = await emit(event, { headers: { authorization: `Bearer ${KEY}` } });
console.log(JSON.stringify({ answers, id: event.id, bare: JSON.parse(bare.body) }));

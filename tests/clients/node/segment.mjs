// Sends one call of each kind with the official Node SDK and prints what became of them as JSON.
import { Analytics } from "@segment/analytics-node";

const { PORTAL, KEY } = process.env;
const analytics = new Analytics({ writeKey: KEY, host: PORTAL, maxRetries: 1, flushAt: 20 });
const said = { sent: [], errors: [] };
analytics.on("error", (error) => said.errors.push({ code: error.code, reason: String(error.reason) }));
analytics.on("http_response", (answer) => (said.status = answer.status));

const who = { userId: "node-1" };
analytics.identify({ ...who, traits: { plan: "pro" } });
analytics.track({ ...who, event: "Order Completed", properties: { revenue: 12.5 } });
analytics.track({ anonymousId: "anon-7", event: "orderCompleted", timestamp: new Date() });
analytics.page({ ...who, name: "Home", category: "docs", properties: { url: "/" } });
analytics.screen({ ...who, name: "Start" });
analytics.group({ ...who, groupId: "group-9", traits: { name: "Initech" } });
analytics.alias({ userId: "node-1", previousId: "anon-7" });
await analytics.closeAndFlush({ timeout: 10000 });
console.log(JSON.stringify(said));

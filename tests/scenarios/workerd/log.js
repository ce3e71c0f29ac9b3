export default {
  tail(events) {
    for (const event of events) console.log(`told: ${event.logs[0].message}, ${event.event.response.status}`);
  },
};

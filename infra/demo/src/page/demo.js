// What the backend learns, shown as text only.
const show = (id, text) => {
  document.getElementById(id).textContent = text;
};

const { url } = await fetch('/watch').then((response) => response.json());
document.getElementById('room').src = url;

new EventSource('/events').addEventListener('message', ({ data }) => {
  const { type, data: payload } = JSON.parse(data);
  show('event', type);
  if (type === 'state') show('state', payload.endReason ? `${payload.state} (${payload.endReason})` : payload.state);
  if (type === 'bot-started-speaking') show('speaking', 'yes');
  if (type === 'bot-stopped-speaking') show('speaking', 'no');
  if (type === 'metrics' && payload.ttfbMs !== undefined) show('ttfb', `${Math.round(payload.ttfbMs)} ms`);
});

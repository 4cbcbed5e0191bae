type Context = OffscreenCanvasRenderingContext2D;

/** Paints the face without its mouth's opening. Skin in the mouth's field is lighter than the frame clock's threshold. */
export function paintFace(c: Context, width: number, height: number, eyesOpen: boolean): void {
  const background = c.createLinearGradient(0, 0, 0, height);
  background.addColorStop(0, '#27324a');
  background.addColorStop(1, '#121722');
  c.fillStyle = background;
  c.fillRect(0, 0, width, height);
  c.save();
  // Everything below in units of the height, around the middle of the picture.
  c.translate(width / 2, 0);
  c.scale(height, height);
  shoulders(c);
  head(c);
  for (const side of [-1, 1]) eye(c, side, eyesOpen);
  nose(c);
  lips(c);
  c.restore();
}

function ellipse(c: Context, x: number, y: number, rx: number, ry: number, fill: string | CanvasGradient): void {
  c.fillStyle = fill;
  c.beginPath();
  c.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
  c.fill();
}

function shoulders(c: Context): void {
  ellipse(c, 0, 1.16, 0.5, 0.24, '#3f5d8f');
  c.fillStyle = '#d9a988';
  c.fillRect(-0.09, 0.8, 0.18, 0.16);
}

function head(c: Context): void {
  ellipse(c, 0, 0.48, 0.33, 0.36, '#3a2a22');
  const skin = c.createRadialGradient(-0.05, 0.5, 0.05, 0, 0.56, 0.36);
  skin.addColorStop(0, '#f6d3ba');
  skin.addColorStop(1, '#e2b596');
  for (const side of [-1, 1]) ellipse(c, side * 0.28, 0.56, 0.035, 0.06, '#dba988');
  ellipse(c, 0, 0.56, 0.275, 0.355, skin);
  // The fringe ends above the eyes.
  ellipse(c, 0, 0.29, 0.25, 0.1, '#3a2a22');
}

function eye(c: Context, side: number, isOpen: boolean): void {
  const x = side * 0.11;
  c.strokeStyle = '#3a2a22';
  c.lineWidth = 0.014;
  c.beginPath();
  c.arc(x, 0.46, 0.06, 1.25 * Math.PI, 1.75 * Math.PI);
  c.stroke();
  if (isOpen) {
    ellipse(c, x, 0.46, 0.042, 0.026, '#ffffff');
    ellipse(c, x, 0.46, 0.021, 0.023, '#4b6f93');
    ellipse(c, x, 0.46, 0.01, 0.011, '#10151c');
    return;
  }
  c.beginPath();
  c.moveTo(x - 0.042, 0.462);
  c.quadraticCurveTo(x, 0.478, x + 0.042, 0.462);
  c.stroke();
}

function nose(c: Context): void {
  c.strokeStyle = '#c99272';
  c.lineWidth = 0.012;
  c.beginPath();
  c.moveTo(-0.01, 0.5);
  c.quadraticCurveTo(-0.045, 0.595, 0.012, 0.6);
  c.stroke();
}

function lips(c: Context): void {
  c.strokeStyle = '#d0837c';
  c.lineWidth = 0.016;
  c.beginPath();
  c.moveTo(-0.075, 0.727);
  c.quadraticCurveTo(0, 0.737, 0.075, 0.727);
  c.stroke();
}

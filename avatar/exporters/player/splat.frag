#version 300 es
precision highp float;

in vec4 color;
in vec2 place;
out vec4 pixel;

void main() {
  float alpha = min(0.999, color.a * exp(-0.5 * dot(place, place)));
  if (alpha < 1.0 / 255.0) discard;
  pixel = vec4(color.rgb * alpha, alpha);
}

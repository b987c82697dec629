#version 300 es
precision highp float;

uniform float darkness;
in vec2 place;
out vec4 pixel;

void main() {
  float fall = max(1.0 - dot(place, place), 0.0);
  pixel = vec4(0.0, 0.0, 0.0, darkness * fall * fall);
}

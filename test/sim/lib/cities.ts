/** Where regions are: real cities with data centres, latitude and longitude in degrees. */
export interface City {
  readonly name: string;
  readonly latitude: number;
  readonly longitude: number;
}

export const cities: readonly City[] = [
  { name: 'frankfurt', latitude: 50.11, longitude: 8.68 },
  { name: 'ashburn', latitude: 39.04, longitude: -77.49 },
  { name: 'singapore', latitude: 1.35, longitude: 103.82 },
  { name: 'sydney', latitude: -33.87, longitude: 151.21 },
  { name: 'sao-paulo', latitude: -23.55, longitude: -46.63 },
  { name: 'tokyo', latitude: 35.68, longitude: 139.69 },
  { name: 'london', latitude: 51.51, longitude: -0.13 },
  { name: 'san-jose', latitude: 37.34, longitude: -121.89 },
  { name: 'mumbai', latitude: 19.08, longitude: 72.88 },
  { name: 'johannesburg', latitude: -26.2, longitude: 28.05 },
  { name: 'amsterdam', latitude: 52.37, longitude: 4.9 },
  { name: 'chicago', latitude: 41.88, longitude: -87.63 },
  { name: 'hong-kong', latitude: 22.32, longitude: 114.17 },
  { name: 'santiago', latitude: -33.45, longitude: -70.67 },
  { name: 'stockholm', latitude: 59.33, longitude: 18.07 },
  { name: 'dallas', latitude: 32.78, longitude: -96.8 },
  { name: 'toronto', latitude: 43.65, longitude: -79.38 },
  { name: 'madrid', latitude: 40.42, longitude: -3.7 },
  { name: 'seoul', latitude: 37.57, longitude: 126.98 },
  { name: 'dubai', latitude: 25.2, longitude: 55.27 },
  { name: 'warsaw', latitude: 52.23, longitude: 21.01 },
  { name: 'miami', latitude: 25.76, longitude: -80.19 },
  { name: 'lagos', latitude: 6.52, longitude: 3.38 },
  { name: 'auckland', latitude: -36.85, longitude: 174.76 },
];

const earthRadiusKm = 6371;

/** Great-circle distance (haversine formula). */
export function distanceKm(a: City, b: City): number {
  const radians = Math.PI / 180;
  const [p, q] = [a.latitude * radians, b.latitude * radians];
  const sinLatitude = Math.sin((q - p) / 2);
  const sinLongitude = Math.sin(((b.longitude - a.longitude) * radians) / 2);
  const h = sinLatitude ** 2 + Math.cos(p) * Math.cos(q) * sinLongitude ** 2;
  return 2 * earthRadiusKm * Math.asin(Math.sqrt(h));
}

/** Light in fibre: c over a refractive index of about 1.47, some 204 km in a millisecond. */
const fibreKmPerMs = 200;
/**
 * Fibre does not follow great circles. The model's round trips are then 94 ms Frankfurt-Ashburn, 146 ms
 * Frankfurt-Singapore, 221 ms Sydney-Ashburn. For comparison: the simulation of Fly.io's Corrosion takes
 * 4 ms + km / 75 for a round trip (a factor of 1.33), and says that this is within some 15 % of what is measured.
 */
const routeFactor = 1.4;
/** Routers and the last mile, per direction. */
const fixedMs = 1;
/** Between two machines of one data centre. */
const localMs = 0.25;

/** One-way delay without any queueing, in ms. */
export function oneWayMs(a: City, b: City): number {
  return a.name === b.name ? localMs : fixedMs + (distanceKm(a, b) / fibreKmPerMs) * routeFactor;
}

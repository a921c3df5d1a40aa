//! Srgb: converts colours of other spaces to sRGB, from 0 to 1 and unclipped (CSS Color 4). Knows no syntax.

/// Converts from hue, saturation and lightness (§7.1).
pub(super) fn hsl(hue: f64, saturation: f64, lightness: f64) -> [f64; 3] {
    let part = |n: f64| {
        let at = (n + hue / 30.0) % 12.0;
        let chroma = saturation * lightness.min(1.0 - lightness);
        lightness - chroma * (at - 3.0).min(9.0 - at).clamp(-1.0, 1.0)
    };
    [part(0.0), part(8.0), part(4.0)]
}

/// Converts from hue, whiteness and blackness (§8.1).
pub(super) fn hwb(hue: f64, white: f64, black: f64) -> [f64; 3] {
    if white + black >= 1.0 {
        return [white / (white + black); 3];
    }
    hsl(hue, 1.0, 0.5).map(|part| part * (1.0 - white - black) + white)
}

/// Returns the rectangular coordinates of a colour with a hue in degrees.
pub(super) fn polar(lightness: f64, chroma: f64, hue: f64) -> [f64; 3] {
    let (sin, cos) = hue.to_radians().sin_cos();
    let chroma = chroma.max(0.0);
    [lightness, chroma * cos, chroma * sin]
}

/// Converts from CIE Lab (§9.2).
pub(super) fn of_lab([lightness, a, b]: [f64; 3]) -> [f64; 3] {
    const KAPPA: f64 = 24_389.0 / 27.0;
    const EPSILON: f64 = 216.0 / 24_389.0;
    let lightness = lightness.clamp(0.0, 100.0);
    let y = (lightness + 16.0) / 116.0;
    let part = |root: f64| if root.powi(3) > EPSILON { root.powi(3) } else { (116.0 * root - 16.0) / KAPPA };
    let luminance = if lightness > KAPPA * EPSILON { y.powi(3) } else { lightness / KAPPA };
    let [white_x, white_z] = [0.964_295_676_429_567_7, 0.825_104_602_510_460_2];
    of_xyz_d50([part(a / 500.0 + y) * white_x, luminance, part(y - b / 200.0) * white_z])
}

/// Converts from Oklab (§9.4).
pub(super) fn of_oklab([lightness, a, b]: [f64; 3]) -> [f64; 3] {
    let lightness = lightness.clamp(0.0, 1.0);
    let cones = [
        lightness + 0.396_337_777_376_174_9 * a + 0.215_803_757_309_913_6 * b,
        lightness - 0.105_561_345_815_658_6 * a - 0.063_854_172_825_813_3 * b,
        lightness - 0.089_484_177_529_811_9 * a - 1.291_485_548_019_409_2 * b,
    ];
    let linear = times(
        [
            [4.076_741_662_1, -3.307_711_591_3, 0.230_969_929_2],
            [-1.268_438_004_6, 2.609_757_401_1, -0.341_319_396_5],
            [-0.004_196_086_3, -0.703_418_614_7, 1.707_614_701_0],
        ],
        cones.map(|cone| cone.powi(3)),
    );
    linear.map(encoded)
}

/// Converts from a space of `color()` (§10), with the matrices of the sample code; `None` if there is no such space.
pub(super) fn in_space(space: &str, parts: [f64; 3]) -> Option<[f64; 3]> {
    let signed = |part: f64, of: fn(f64) -> f64| of(part.abs()).copysign(part);
    Some(match space {
        "srgb" => parts,
        "srgb-linear" => parts.map(encoded),
        "display-p3" => of_xyz(times(
            [
                [0.486_570_948_648_216_2, 0.265_667_693_169_093_06, 0.198_217_285_234_362_5],
                [0.228_974_564_069_748_8, 0.691_738_521_836_506_4, 0.079_286_914_093_745],
                [0.0, 0.045_113_381_858_902_64, 1.043_944_368_900_976],
            ],
            parts.map(decoded),
        )),
        "a98-rgb" => of_xyz(times(
            [
                [0.576_669_042_910_130_5, 0.185_558_237_906_546_3, 0.188_228_646_234_994_7],
                [0.297_344_975_250_536_05, 0.627_363_566_255_466_1, 0.075_291_458_493_997_88],
                [0.027_031_361_386_412_34, 0.070_688_852_535_827_23, 0.991_337_536_837_638_8],
            ],
            parts.map(|part| signed(part, |part| part.powf(563.0 / 256.0))),
        )),
        "rec2020" => of_xyz(times(
            [
                [0.636_958_048_301_291_4, 0.144_616_903_586_208_32, 0.168_880_975_164_172_1],
                [0.262_700_212_011_267_1, 0.677_998_071_518_870_8, 0.059_301_716_469_861_96],
                [0.0, 0.028_072_693_049_087_428, 1.060_985_057_710_791],
            ],
            parts.map(|part| {
                signed(part, |part| {
                    let alpha = 1.099_296_826_809_44;
                    if part < 0.081_242_858_298_635_1 {
                        part / 4.5
                    } else {
                        ((part + alpha - 1.0) / alpha).powf(1.0 / 0.45)
                    }
                })
            }),
        )),
        "prophoto-rgb" => of_xyz_d50(times(
            [
                [0.797_766_644_900_642_3, 0.135_181_297_400_533_08, 0.031_347_734_128_392_2],
                [0.288_074_828_819_401_3, 0.711_835_234_241_873, 0.000_089_936_938_725_64],
                [0.0, 0.0, 0.825_104_602_510_460_2],
            ],
            parts.map(|part| signed(part, |part| if part <= 16.0 / 512.0 { part / 16.0 } else { part.powf(1.8) })),
        )),
        "xyz" | "xyz-d65" => of_xyz(parts),
        "xyz-d50" => of_xyz_d50(parts),
        _ => return None,
    })
}

fn of_xyz_d50(xyz: [f64; 3]) -> [f64; 3] {
    of_xyz(times(
        [
            [0.955_473_421_488_075, -0.023_098_454_948_764_71, 0.063_259_243_200_570_72],
            [-0.028_369_709_333_863_7, 1.009_995_398_081_304_1, 0.021_041_441_191_917_323],
            [0.012_314_014_864_481_998, -0.020_507_649_298_898_964, 1.330_365_926_242_124],
        ],
        xyz,
    ))
}

fn of_xyz(xyz: [f64; 3]) -> [f64; 3] {
    let linear = times(
        [
            [3.240_969_941_904_522_6, -1.537_383_177_570_094, -0.498_610_760_293_003_4],
            [-0.969_243_636_280_879_6, 1.875_967_501_507_720_2, 0.041_555_057_407_175_59],
            [0.055_630_079_696_993_66, -0.203_976_958_888_976_52, 1.056_971_514_242_878_6],
        ],
        xyz,
    );
    linear.map(encoded)
}

fn times(matrix: [[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(factor, part)| factor * part).sum())
}

/// The transfer function of sRGB and Display P3.
fn encoded(linear: f64) -> f64 {
    let size = linear.abs();
    let part = if size > 0.003_130_8 { 1.055 * size.powf(1.0 / 2.4) - 0.055 } else { 12.92 * size };
    part.copysign(linear)
}

/// Its inverse.
fn decoded(part: f64) -> f64 {
    let size = part.abs();
    let linear = if size <= 0.040_45 { size / 12.92 } else { ((size + 0.055) / 1.055).powf(2.4) };
    linear.copysign(part)
}

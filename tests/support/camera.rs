//! A phone's camera: reads the QR code in a picture that the login server drew.

/// What the code in an SVG picture says. Draws the picture's one path of unit rectangles, and decodes what it sees.
pub(crate) fn read(svg: &str) -> String {
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let side = number(svg.split("viewBox=\"0 0 ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a size"));
    let path = svg.rsplit(" d=\"").next().and_then(|rest| rest.split('"').next()).expect("a path");
    let mut dark = vec![false; side * side];
    for step in path.split('M').skip(1) {
        // "X YhWvHH…": a rectangle from its corner.
        let (corner, size) = step.split_once('h').expect("a width");
        let (x, y) = corner.split_once(' ').expect("a corner");
        let (width, rest) = size.split_once('v').expect("a height");
        let height = rest.split(['H', 'h']).next().expect("a height");
        let (x, y, width, height) = (number(x), number(y), number(width), number(height));
        for row in y..y + height {
            dark[row * side + x..row * side + x + width].fill(true);
        }
    }
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| if dark[y * side + x] { 0 } else { 255 });
    let grids = image.detect_grids();
    let [grid] = &grids[..] else { panic!("one code, not {}", grids.len()) };
    grid.decode().expect("a readable code").1
}

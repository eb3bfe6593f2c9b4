//! Small matrices: what a search and its standard errors need.

/// A matrix of `N` rows and columns.
pub type Matrix<const N: usize> = [[f64; N]; N];

/// One matrix times another.
pub fn product<const N: usize>(one: &Matrix<N>, other: &Matrix<N>) -> Matrix<N> {
    let cell = |n: usize, m: usize| (0..N).map(|k| one[n][k] * other[k][m]).sum();
    std::array::from_fn(|n| std::array::from_fn(|m| cell(n, m)))
}

/// Rows as columns.
pub fn transposed<const N: usize>(matrix: &Matrix<N>) -> Matrix<N> {
    std::array::from_fn(|n| std::array::from_fn(|m| matrix[m][n]))
}

/// The mean of a matrix and its transpose.
pub fn symmetric<const N: usize>(rows: &Matrix<N>) -> Matrix<N> {
    std::array::from_fn(|n| std::array::from_fn(|m| (rows[n][m] + rows[m][n]) / 2.0))
}

/// Its largest entry on the diagonal.
pub fn largest<const N: usize>(matrix: &Matrix<N>) -> f64 {
    (0..N).fold(0.0, |largest, n| f64::max(largest, matrix[n][n].abs()))
}

/// A matrix with a thousandth of its largest entry on its diagonal.
pub fn bent<const N: usize>(matrix: &Matrix<N>) -> Matrix<N> {
    let mut bent = *matrix;
    for (n, row) in bent.iter_mut().enumerate() {
        row[n] += 1e-3 * largest(matrix);
    }
    bent
}

/// The inverse of a matrix that is positive definite, see [`cholesky`].
pub fn inverse<const N: usize>(matrix: &Matrix<N>) -> Option<Matrix<N>> {
    let factor = cholesky(matrix)?;
    let columns = std::array::from_fn(|n| {
        solve(&factor, &std::array::from_fn(|m| f64::from(u8::from(m == n))))
    });
    Some(transposed(&columns))
}

/// The lower factor of a matrix that is positive definite by more than the
/// error of its entries; none of another.
pub fn cholesky<const N: usize>(matrix: &Matrix<N>) -> Option<Matrix<N>> {
    let mut factor = [[0.0; N]; N];
    let largest = largest(matrix);
    for n in 0..N {
        for m in 0..=n {
            let known: f64 = (0..m).map(|k| factor[n][k] * factor[m][k]).sum();
            let rest = matrix[n][m] - known;
            if n == m {
                // Also where it is no number.
                if rest.is_nan() || rest <= 1e-9 * largest {
                    return None;
                }
                factor[n][n] = libm::sqrt(rest);
            } else {
                factor[n][m] = rest / factor[m][m];
            }
        }
    }
    Some(factor)
}

/// The solution of a system whose matrix has this lower factor.
pub fn solve<const N: usize>(factor: &Matrix<N>, right: &[f64; N]) -> [f64; N] {
    let mut solution = *right;
    for n in 0..N {
        let known: f64 = (0..n).map(|k| factor[n][k] * solution[k]).sum();
        solution[n] = (solution[n] - known) / factor[n][n];
    }
    for n in (0..N).rev() {
        let known: f64 = (n + 1..N).map(|k| factor[k][n] * solution[k]).sum();
        solution[n] = (solution[n] - known) / factor[n][n];
    }
    solution
}

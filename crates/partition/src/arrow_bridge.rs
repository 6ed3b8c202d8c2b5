//! Carries a Polars column across to arrow-rs without a copy, over the Arrow C data interface.
//!
//! Polars has its own Arrow arrays; the `parquet` crate takes those of arrow-rs. Both can hand an array over as the C
//! struct the Arrow specification defines, with its buffers and a callback that frees them. This is the only module
//! of the crate with `unsafe`, and it has two blocks.

use arrow_array::ffi::{FFI_ArrowArray, from_ffi_and_data_type};
use arrow_array::{ArrayRef, make_array};
use arrow_schema::{ArrowError, DataType};
use polars::prelude::Series;
use polars_arrow::datatypes::PhysicalType;
use polars_arrow::ffi::{ArrowArray, export_array_to_c};
use polars_arrow::types::PrimitiveType;

// Both are the `struct ArrowArray` of the specification; were one of them not, its size or alignment would differ.
const _: () = assert!(size_of::<ArrowArray>() == size_of::<FFI_ArrowArray>());
const _: () = assert!(align_of::<ArrowArray>() == align_of::<FFI_ArrowArray>());

/// The values of `series` as an arrow-rs array of `data_type`, sharing its memory. Several chunks are joined first.
/// An array without nulls has no validity buffer, however it came about.
///
/// # Errors
/// When the series is not stored the way `data_type` is.
#[allow(unsafe_code)]
pub(crate) fn to_arrow(series: &Series, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let series = series.rechunk();
    let Some(chunk) = series.chunks().first() else {
        return Ok(arrow_array::new_empty_array(data_type));
    };
    let stored_alike = matches!(
        (chunk.dtype().to_physical_type(), data_type),
        (PhysicalType::Utf8View, DataType::Utf8View)
            | (PhysicalType::Primitive(PrimitiveType::Int32), DataType::Int32 | DataType::Date32)
            | (PhysicalType::Primitive(PrimitiveType::Int64), DataType::Int64 | DataType::Timestamp(_, _))
            | (PhysicalType::Primitive(PrimitiveType::Float64), DataType::Float64)
    );
    if !stored_alike {
        return Err(ArrowError::CDataInterface(format!("{:?} is not stored as {data_type}", chunk.dtype())));
    }
    let chunk = if chunk.null_count() == 0 { chunk.with_validity(None) } else { chunk.clone() };
    let mut exported = export_array_to_c(chunk);
    // SAFETY: the pointer is to a live, initialised struct. Both types are `#[repr(C)]` declarations of the same C
    // struct with the same fields in the same order (asserted above as far as the compiler can see). `from_raw` moves
    // the contents out and leaves an empty struct without a release callback, as the specification says a move must
    // be done, so the buffers are released exactly once: by arrow-rs.
    let moved = unsafe { FFI_ArrowArray::from_raw((&raw mut exported).cast()) };
    // SAFETY: Polars exported the struct, so it agrees with the C data interface, its buffers live until the release
    // callback is called and are not written to meanwhile. `data_type` has the layout of the exported array, as
    // matched above; types that share a layout (Int32 and Date32, Int64 and Timestamp) have no invalid values.
    // Utf8View buffers hold valid UTF-8, as Polars requires of its own.
    let data = unsafe { from_ffi_and_data_type(moved, data_type.clone()) }?;
    Ok(make_array(data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int32Type};
    use polars::prelude::NamedFrom;
    use proptest::prelude::*;

    proptest! {
        /// Any slice of any joined pieces holds the same values on the other side.
        #[test]
        fn values_cross_unchanged(
            numbers in prop::collection::vec(prop::option::weighted(0.8, any::<i32>()), 0..100),
            texts in prop::collection::vec(prop::option::weighted(0.8, "[a-zé]{0,20}"), 0..100),
            floats in prop::collection::vec(prop::option::weighted(0.99, any::<f64>()), 0..100),
            cut in 0usize..100,
            offset in 0usize..100,
        ) {
            let reshape = |series: Series| {
                let cut = cut.min(series.len());
                let mut joined = series.slice(0, cut);
                joined.append(&series.slice(cut as i64, series.len() - cut)).expect("same type");
                joined.slice(offset.min(series.len()) as i64, series.len())
            };
            let numbers: Vec<Option<i32>> = numbers;
            let series = reshape(Series::new("n".into(), &numbers));
            let array = to_arrow(&series, &DataType::Int32).expect("it crosses");
            prop_assert_eq!(
                array.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(),
                series.i32().expect("integers").iter().collect::<Vec<_>>()
            );
            prop_assert_eq!(array.nulls().is_some(), array.null_count() > 0);

            let series = reshape(Series::new("t".into(), &texts));
            let array = to_arrow(&series, &DataType::Utf8View).expect("it crosses");
            prop_assert_eq!(
                array.as_string_view().iter().collect::<Vec<_>>(),
                series.str().expect("text").iter().collect::<Vec<_>>()
            );

            let series = reshape(Series::new("f".into(), &floats));
            let array = to_arrow(&series, &DataType::Float64).expect("it crosses");
            let bits = |value: Option<f64>| value.map(f64::to_bits);
            prop_assert_eq!(
                array.as_primitive::<Float64Type>().iter().map(bits).collect::<Vec<_>>(),
                series.f64().expect("floats").iter().map(bits).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn the_array_outlives_the_series() {
        let series = Series::new("t".into(), &["short", "longer than twelve bytes, so not inline"]);
        let array = to_arrow(&series, &DataType::Utf8View).expect("it crosses");
        drop(series);
        assert_eq!(array.as_string_view().value(1), "longer than twelve bytes, so not inline");
    }

    #[test]
    fn a_wrong_type_is_refused() {
        let series = Series::new("n".into(), &[1i32]);
        assert!(to_arrow(&series, &DataType::Int64).is_err());
        assert!(to_arrow(&series, &DataType::Utf8View).is_err());
    }
}

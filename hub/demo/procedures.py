"""A small catalogue of administrative procedures, of the kind that the national portal publishes.

Names and fields are those of common procedures; codes have the right form but are not those of the official catalogue.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Procedure:
    """A procedure: which level decides it, in how many working days, for what fee."""

    code: str
    name: str
    field_code: str
    field_name: str
    level: str
    days: int
    fee_vnd: int


def _field(code: str, name: str, level: str, *rows: tuple[str, int, int]) -> list[Procedure]:
    number = int(code[-2:]) * 100
    return [
        Procedure(f"1.9{number + index:05d}", title, code, name, level, days, fee)
        for index, (title, days, fee) in enumerate(rows, 1)
    ]


PROCEDURES: tuple[Procedure, ...] = (
    *_field(
        "G15-TP01",
        "Hộ tịch",
        "COMMUNE",
        ("Đăng ký khai sinh", 1, 0),
        ("Đăng ký kết hôn", 2, 0),
        ("Đăng ký khai tử", 1, 0),
        ("Cấp giấy xác nhận tình trạng hôn nhân", 3, 15_000),
        ("Thay đổi, cải chính, bổ sung thông tin hộ tịch", 3, 15_000),
        ("Đăng ký nhận cha, mẹ, con", 3, 15_000),
        ("Cấp bản sao trích lục hộ tịch", 1, 8_000),
    ),
    *_field(
        "G15-TP02",
        "Chứng thực",
        "COMMUNE",
        ("Chứng thực bản sao từ bản chính", 1, 2_000),
        ("Chứng thực chữ ký", 1, 10_000),
        ("Chứng thực hợp đồng, giao dịch", 2, 50_000),
    ),
    *_field(
        "G01-CA03",
        "Cư trú",
        "COMMUNE",
        ("Đăng ký thường trú", 7, 20_000),
        ("Đăng ký tạm trú", 3, 15_000),
        ("Xác nhận thông tin về cư trú", 1, 0),
    ),
    *_field(
        "G13-DD04",
        "Đất đai",
        "PROVINCE",
        ("Đăng ký biến động quyền sử dụng đất", 10, 80_000),
        ("Cấp giấy chứng nhận quyền sử dụng đất lần đầu", 20, 100_000),
        ("Cấp đổi giấy chứng nhận quyền sử dụng đất", 7, 50_000),
        ("Xóa đăng ký biện pháp bảo đảm", 1, 20_000),
        ("Chuyển mục đích sử dụng đất", 15, 0),
    ),
    *_field(
        "G05-KD05",
        "Thành lập và hoạt động hộ kinh doanh",
        "COMMUNE",
        ("Đăng ký thành lập hộ kinh doanh", 3, 100_000),
        ("Đăng ký thay đổi nội dung hộ kinh doanh", 3, 100_000),
        ("Chấm dứt hoạt động hộ kinh doanh", 3, 0),
    ),
    *_field(
        "G17-XD06",
        "Hoạt động xây dựng",
        "PROVINCE",
        ("Cấp giấy phép xây dựng nhà ở riêng lẻ", 15, 75_000),
        ("Gia hạn giấy phép xây dựng", 5, 15_000),
    ),
    *_field(
        "G07-BT07",
        "Bảo trợ xã hội",
        "COMMUNE",
        ("Hỗ trợ chi phí mai táng", 5, 0),
        ("Trợ cấp xã hội hàng tháng", 10, 0),
        ("Xác định mức độ khuyết tật", 25, 0),
    ),
    *_field(
        "G04-GT08",
        "Đường bộ",
        "PROVINCE",
        ("Đổi giấy phép lái xe", 5, 115_000),
        ("Cấp phù hiệu xe ô tô", 2, 0),
    ),
    *_field(
        "G18-YT09",
        "An toàn thực phẩm",
        "PROVINCE",
        ("Cấp giấy chứng nhận cơ sở đủ điều kiện an toàn thực phẩm", 20, 150_000),
        ("Tự công bố sản phẩm", 7, 0),
    ),
)

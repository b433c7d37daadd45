"""Vietnamese names for invented people: family names by frequency, middle and given names by gender."""

FAMILY_NAMES = {
    "Nguyễn": 384,
    "Trần": 121,
    "Lê": 95,
    "Phạm": 70,
    "Hoàng": 51,
    "Phan": 45,
    "Vũ": 39,
    "Đặng": 21,
    "Bùi": 20,
    "Đỗ": 14,
    "Hồ": 13,
    "Ngô": 13,
    "Dương": 10,
    "Lý": 5,
    "Đinh": 12,
    "Tạ": 6,
    "Lương": 7,
    "Mai": 6,
    "Trịnh": 6,
    "Lã": 4,
    "Tống": 4,
    "An": 2,
}
"""Family name: weight. Đinh, Lã, Tống and An are more common in Ninh Bình than in the rest of the country."""

MIDDLE_NAMES = {
    "male": ("Văn", "Đức", "Hữu", "Quang", "Minh", "Công", "Đình", "Xuân", "Ngọc", "Thành", "Quốc", "Trọng", "Duy"),
    "female": ("Thị", "Thị Thu", "Thị Ngọc", "Thị Minh", "Thanh", "Ngọc", "Thùy", "Phương", "Thị Kim", "Khánh", "Bích"),
}

GIVEN_NAMES = {
    "male": (
        *("Hùng", "Dũng", "Cường", "Tuấn", "Nam", "Sơn", "Hải", "Long", "Thắng", "Bình", "Kiên", "Trung", "Hiếu"),
        *("Đạt", "Quân", "Phong", "Khoa", "Huy", "Việt", "Toàn", "Tùng", "Thịnh", "Lâm", "Vinh", "Khánh", "An"),
    ),
    "female": (
        *("Hoa", "Lan", "Hương", "Hạnh", "Thảo", "Trang", "Linh", "Mai", "Ngọc", "Hà", "Hằng", "Nga", "Yến"),
        *("Thủy", "Nhung", "Loan", "Oanh", "Vân", "Dung", "Hiền", "Phương", "Quỳnh", "Tuyết", "Xuân", "My", "An"),
    ),
}

OFFICER_TITLES = ("Công chức một cửa", "Chuyên viên", "Phó trưởng phòng", "Trưởng phòng")

DEPARTMENTS = (
    *("Bộ phận tiếp nhận và trả kết quả", "Phòng Tư pháp", "Phòng Tài nguyên và Môi trường", "Phòng Tài chính"),
    *("Phòng Lao động", "Phòng Kinh tế và Hạ tầng", "Văn phòng HĐND và UBND", "Công an xã"),
)

NOTES = ("Đã kiểm tra hồ sơ", "Chuyển phòng chuyên môn", "Trình lãnh đạo ký", "Thẩm định hồ sơ", "Cập nhật kết quả")

STREETS = ("Đường Trần Hưng Đạo", "Đường Lê Lợi", "Tổ dân phố 3", "Thôn Đông", "Thôn Đoài", "Xóm 5", "Ngõ 12", "Khu 2")

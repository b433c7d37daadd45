-- The population database: one row per person, residence and card; a row's version rises with every change.
CREATE TABLE cong_dan (
    so_dinh_danh text PRIMARY KEY,
    ho text NOT NULL,
    chu_dem text NOT NULL,
    ten text NOT NULL,
    ngay_sinh text NOT NULL, -- dd/mm/yyyy, mm/yyyy or yyyy
    gioi_tinh text NOT NULL, -- Nam, Nữ
    que_quan text,
    quoc_tich text NOT NULL,
    tinh_trang text NOT NULL,
    phien_ban bigint NOT NULL,
    cap_nhat_luc timestamptz NOT NULL
);
CREATE TABLE cu_tru (
    so_dinh_danh text NOT NULL,
    loai_cu_tru text NOT NULL, -- TT thường trú, TA tạm trú
    thao_tac text NOT NULL, -- DK đăng ký, MHL mã hóa lại
    bo_ma text NOT NULL, -- 2004, 2025
    ma_tinh text NOT NULL,
    ma_huyen text,
    ma_xa text NOT NULL,
    ma_tinh_truoc text,
    ma_xa_truoc text,
    dia_chi text,
    tu_ngay date,
    so_ho_so_cu_tru text,
    phien_ban bigint NOT NULL,
    cap_nhat_luc timestamptz NOT NULL,
    PRIMARY KEY (so_dinh_danh, loai_cu_tru)
);
CREATE TABLE the_can_cuoc (
    so_dinh_danh text PRIMARY KEY,
    loai_the text NOT NULL, -- CC, CCCD
    so_the_che text NOT NULL,
    trang_thai_the text NOT NULL,
    ngay_cap date NOT NULL,
    noi_cap text NOT NULL,
    ngay_het_han date,
    muc_dinh_danh integer,
    trang_thai_dinh_danh text,
    phien_ban bigint NOT NULL,
    cap_nhat_luc timestamptz NOT NULL
);
CREATE TABLE chuyen_doi_ma (
    ma_xa_cu text PRIMARY KEY,
    ma_xa_moi text NOT NULL,
    ma_tinh_moi text NOT NULL
);

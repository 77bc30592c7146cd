using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>Parts of a time, as <c>strftime</c> of C gives them in the locale of that name.</summary>
internal static class TimeFormat
{
    /// <summary>The part that a letter stands for; one that stands for nothing is given back with its <c>%</c>.</summary>
    public static string Of(char letter, DateTimeOffset time) =>
        letter switch
        {
            'a' => Say(time, "ddd"),
            'A' => Say(time, "dddd"),
            'b' or 'h' => Say(time, "MMM"),
            'B' => Say(time, "MMMM"),
            'c' => $"{Say(time, "ddd MMM")} {Blank(time.Day)} {Say(time, "HH:mm:ss yyyy")}",
            'C' => Two(time.Year / 100),
            'd' => Say(time, "dd"),
            'D' or 'x' => Say(time, "MM'/'dd'/'yy"),
            'e' => Blank(time.Day),
            'F' => Say(time, "yyyy-MM-dd"),
            'g' => Two(ISOWeek.GetYear(time.DateTime) % 100),
            'G' => ISOWeek.GetYear(time.DateTime).ToString(CultureInfo.InvariantCulture),
            'H' => Say(time, "HH"),
            'I' => Say(time, "hh"),
            'j' => time.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
            'k' => Blank(time.Hour),
            'l' => Blank((time.Hour + 11) % 12 + 1),
            'm' => Say(time, "MM"),
            'M' => Say(time, "mm"),
            'n' => "\n",
            'N' => (time.Ticks % TimeSpan.TicksPerSecond * 100).ToString("000000000", CultureInfo.InvariantCulture),
            'p' => time.Hour < 12 ? "AM" : "PM",
            'P' => time.Hour < 12 ? "am" : "pm",
            'r' => Say(time, "hh:mm:ss ") + Of('p', time),
            'R' => Say(time, "HH:mm"),
            's' => time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            'S' => Say(time, "ss"),
            't' => "\t",
            'T' or 'X' => Say(time, "HH:mm:ss"),
            'u' => (((int)time.DayOfWeek + 6) % 7 + 1).ToString(CultureInfo.InvariantCulture),
            'U' => Two((time.DayOfYear + 6 - (int)time.DayOfWeek) / 7),
            'V' => Two(ISOWeek.GetWeekOfYear(time.DateTime)),
            'w' => ((int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
            'W' => Two((time.DayOfYear + 6 - ((int)time.DayOfWeek + 6) % 7) / 7),
            'y' => Say(time, "yy"),
            'Y' => Say(time, "yyyy"),
            'z' => Offset(time),
            'Z' => time.Offset == TimeSpan.Zero ? "UTC" : Offset(time),
            _ => $"%{letter}",
        };

    /// <summary>The time as <c>2016-08-10T09:47:38+0100</c>.</summary>
    public static string Iso8601(DateTimeOffset time) => Say(time, "yyyy-MM-ddTHH:mm:ss") + Offset(time);

    /// <summary>The time stamp in JSON, whose zone stands after a Z.</summary>
    public static string Json(DateTimeOffset time) => Say(time, "yyyy-MM-ddTHH:mm:ss.ffffff'Z'") + Offset(time);

    /// <summary>The seconds since 1970, with nanoseconds.</summary>
    public static string Unix(PrintedMessage printed) =>
        string.Create(CultureInfo.InvariantCulture, $"{printed.Time.ToUnixTimeSeconds()}.{printed.Nanoseconds:000000000}");

    private static string Say(DateTimeOffset time, string format) => time.ToString(format, CultureInfo.InvariantCulture);

    private static string Offset(DateTimeOffset time) =>
        (time.Offset < TimeSpan.Zero ? "-" : "+") + time.Offset.ToString("hhmm", CultureInfo.InvariantCulture);

    private static string Two(int number) => number.ToString("00", CultureInfo.InvariantCulture);

    private static string Blank(int number) => number.ToString(CultureInfo.InvariantCulture).PadLeft(2);
}

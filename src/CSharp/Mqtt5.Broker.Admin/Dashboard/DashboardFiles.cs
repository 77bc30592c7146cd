using System.Collections.Frozen;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace Mqtt5.Admin;

// The files of the dashboard, which are resources of the assembly, so that it works offline and in a native executable.
internal static class DashboardFiles
{
    public const string Folder = "ui";

    // The page, which is at the prefix itself.
    public const string PageName = "index.html";

    // Scripts and styles of this site only, none of them inline; no page of another site may frame it; and no text can be
    // made markup by mistake, because the sinks of the DOM for markup refuse strings.
    public const string Policy =
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private const string Prefix = "Mqtt5.Admin.Pages.";

    public static FrozenDictionary<string, DashboardFile> All { get; } = Read();

    public static Task AnswerAsync(HttpContext context, DashboardFile file)
    {
        var response = context.Response;
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.CacheControl = "no-cache";
        response.Headers.ETag = file.Tag;

        if (context.Request.Headers.IfNoneMatch == file.Tag)
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        response.ContentType = file.ContentType;
        response.ContentLength = file.Content.Length;
        return response.Body.WriteAsync(file.Content, context.RequestAborted).AsTask();
    }

    private static FrozenDictionary<string, DashboardFile> Read()
    {
        var assembly = typeof(DashboardFiles).Assembly;
        return assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .ToFrozenDictionary(
                name => name[Prefix.Length..],
                name =>
                {
                    using var resource = assembly.GetManifestResourceStream(name)!;
                    var content = new byte[resource.Length];
                    resource.ReadExactly(content);
                    return new DashboardFile(content, TypeOf(name), $"\"{Convert.ToHexString(SHA256.HashData(content).AsSpan(0, 16))}\"");
                },
                StringComparer.Ordinal);
    }

    private static string TypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => throw new NotSupportedException(name),
    };
}

// A file as it is answered, with its entity tag.
internal sealed record DashboardFile(byte[] Content, string ContentType, string Tag);

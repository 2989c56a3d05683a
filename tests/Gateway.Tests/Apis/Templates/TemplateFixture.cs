using System.Text;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>A folder of its own for one test's templates, and the options the tests share.</summary>
public sealed class TemplateFixture : IDisposable
{
    /// <summary>A resource section with one API that every mode but Lambda can use, and one data source of each kind that matters.</summary>
    internal const string BaseResources = """
        Resources:
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: base
              EventConfig:
                AuthProviders: [{AuthType: API_KEY}, {AuthType: AWS_IAM}]
                ConnectionAuthModes: [{AuthType: API_KEY}]
                DefaultPublishAuthModes: [{AuthType: API_KEY}]
                DefaultSubscribeAuthModes: [{AuthType: API_KEY}]

        """;

    /// <summary>The time every load sees: on the half hour, so that rounding shows.</summary>
    internal static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 30, 0, TimeSpan.Zero);

    private readonly string _folder = Directory.CreateTempSubdirectory("fanfare-templates").FullName;

    internal static TemplateOptions Options { get; } = new()
    {
        Authority = "localhost:8080",
        KeySecret = Encoding.UTF8.GetBytes("a secret of the tests"),
        TimeProvider = new FixedTime(Now),
    };

    /// <summary>The path of a template that the repository keeps.</summary>
    internal static string Kept(string name) => Path.Combine(AppContext.BaseDirectory, "TestData", "templates", name);

    /// <summary>Writes a template and returns its path.</summary>
    internal string Write(string text, string name = "stack.yaml") => Write(Encoding.UTF8.GetBytes(text), name);

    internal string Write(byte[] bytes, string name)
    {
        var path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    /// <summary>The path of a file that may not exist.</summary>
    internal string PathOf(string name) => Path.Combine(_folder, name);

    /// <summary>Loads one template.</summary>
    internal TemplateResult Load(string text, TemplateOptions? options = null, string name = "stack.yaml") =>
        TemplateLoader.Load([Write(text, name)], options ?? Options);

    /// <summary>Loads the base resources with more lines after them, the first of which is line 11.</summary>
    internal TemplateResult LoadBase(string more, TemplateOptions? options = null) => Load(BaseResources + more, options);

    /// <summary>Loads what must fail, and returns the mistakes with bare file names.</summary>
    internal IReadOnlyList<string> Errors(string text, TemplateOptions? options = null, string name = "stack.yaml") =>
        ErrorsOf([Write(text, name)], options);

    internal IReadOnlyList<string> ErrorsOf(IReadOnlyList<string> paths, TemplateOptions? options = null)
    {
        var exception = Assert.Throws<TemplateException>(() => TemplateLoader.Load(paths, options ?? Options));
        return [.. exception.Errors.Select(error => Bare(error.ToString()))];
    }

    /// <summary>Takes the folder out of a message.</summary>
    internal string Bare(string message) => message.Replace(_folder + Path.DirectorySeparatorChar, "", StringComparison.Ordinal);

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
